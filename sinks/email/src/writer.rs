//! Writes the messages of one provider, from the payload to the bytes to send.

use std::time::SystemTime;

use acteon_core::{Payload, SinkError};
use compact_str::CompactString;
use lettre::message::Mailbox;

use crate::message::{MailLimits, OutgoingMail, mail_key};
use crate::payload::draft;

/// Writes the messages of one provider.
pub(crate) struct MailWriter {
    pub(crate) from: Mailbox,
    pub(crate) limits: MailLimits,
    pub(crate) provider: CompactString,
}

impl MailWriter {
    /// The message for `payload` at the time `at`.
    ///
    /// # Errors
    /// A permanent error that names the wrong field.
    pub(crate) fn write(
        &self,
        payload: &Payload,
        idempotency_key: &str,
        at: SystemTime,
    ) -> Result<OutgoingMail, SinkError> {
        let key = mail_key(idempotency_key, &self.provider);
        draft(payload, &self.limits)?.write(&self.from, &key, at)
    }
}
