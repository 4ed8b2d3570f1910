//! Builds the message with lettre: its id, its headers and its parts, with the line ends that SMTP requires.

use std::time::{Duration, SystemTime};

use acteon_core::{FailureCode, SinkError};
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use crate::recipient::Recipient;

/// The header with the idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "X-Acteon-Idempotency-Key";
/// Suppresses automatic answers such as absence notices (RFC 3834).
const AUTO_SUBMITTED: &str = "Auto-Submitted";

/// The limits on payloads.
pub(crate) struct MailLimits {
    pub(crate) recipients: usize,
    pub(crate) attachment_bytes: usize,
    /// The headers that payloads may set.
    pub(crate) headers: Vec<HeaderName>,
}

/// The content of a payload, checked.
pub(crate) struct MailDraft {
    /// Without duplicates.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) to: Vec<Mailbox>,
    pub(crate) cc: Vec<Mailbox>,
    pub(crate) reply_to: Vec<Mailbox>,
    pub(crate) subject: String,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) attachments: Vec<MailAttachment>,
}

pub(crate) struct MailAttachment {
    pub(crate) filename: String,
    pub(crate) content_type: ContentType,
    pub(crate) content: Vec<u8>,
}

/// A message ready to be sent.
pub(crate) struct OutgoingMail {
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) message_id: String,
    /// Every line ends in CRLF.
    pub(crate) content: Vec<u8>,
    /// True if an address is not ASCII before its `@`.
    pub(crate) needs_smtputf8: bool,
}

/// Identifies the message in every attempt: 128 bits of a hash of the action's idempotency key and the provider's name.
pub(crate) fn mail_key(idempotency_key: &str, provider: &str) -> String {
    let mut hash = Sha256::new();
    for part in [idempotency_key, provider] {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl MailDraft {
    /// Builds the message.
    ///
    /// # Errors
    /// A permanent error if lettre refuses the content.
    pub(crate) fn write(
        self,
        from: &Mailbox,
        key: &str,
        at: SystemTime,
    ) -> Result<OutgoingMail, SinkError> {
        let message_id = format!("<{key}@{}>", from.email.domain());
        let mut builder = Message::builder()
            .from(from.clone())
            .date(at)
            .message_id(Some(message_id.clone()))
            .subject(self.subject);
        let named = || self.to.iter().chain(&self.cc).chain(&self.reply_to);
        let is_international = |mailbox: &Mailbox| !mailbox.email.user().is_ascii();
        let needs_smtputf8 = is_international(from)
            || named().any(is_international)
            || self
                .recipients
                .iter()
                .any(|one| !one.address.user().is_ascii());
        for mailbox in self.to {
            builder = builder.to(mailbox);
        }
        for mailbox in self.cc {
            builder = builder.cc(mailbox);
        }
        for mailbox in self.reply_to {
            builder = builder.reply_to(mailbox);
        }
        let message = match parts(self.text, self.html, self.attachments) {
            Parts::One(part) => builder.singlepart(part),
            Parts::Many(parts) => builder.multipart(parts),
        };
        let mut message = message.map_err(|error| {
            let message = "the payload cannot be written as a message";
            SinkError::permanent(FailureCode::Serialization, message).with_source(error)
        })?;
        let headers = message.headers_mut();
        let own = [(IDEMPOTENCY_KEY, key), (AUTO_SUBMITTED, "auto-generated")];
        for (name, value) in own {
            let name = HeaderName::new_from_ascii_str(name);
            headers.insert_raw(HeaderValue::new(name, value.to_owned()));
        }
        for (name, value) in self.headers {
            headers.insert_raw(HeaderValue::new(name, value));
        }
        Ok(OutgoingMail {
            recipients: self.recipients,
            message_id,
            content: with_crlf(&message.formatted()),
            needs_smtputf8,
        })
    }
}

enum Parts {
    One(SinglePart),
    Many(MultiPart),
}

fn parts(text: Option<String>, html: Option<String>, attachments: Vec<MailAttachment>) -> Parts {
    let body = match (text, html) {
        (Some(text), Some(html)) => Parts::Many(MultiPart::alternative_plain_html(text, html)),
        (None, Some(html)) => Parts::One(SinglePart::html(html)),
        (text, None) => Parts::One(SinglePart::plain(text.unwrap_or_default())),
    };
    if attachments.is_empty() {
        return body;
    }
    let mixed = MultiPart::mixed();
    let mixed = match body {
        Parts::One(part) => mixed.singlepart(part),
        Parts::Many(parts) => mixed.multipart(parts),
    };
    let attach = |mixed: MultiPart, one: MailAttachment| {
        // Other encodings would change line ends.
        let content = Body::new_with_encoding(one.content, ContentTransferEncoding::Base64);
        let content = content.unwrap_or_else(Body::new);
        mixed.singlepart(Attachment::new(one.filename).body(content, one.content_type))
    };
    Parts::Many(attachments.into_iter().fold(mixed, attach))
}

/// Ends every line in CRLF. Servers disagree on a lone CR or LF, which would allow to smuggle commands.
fn with_crlf(content: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(content.len() + 2);
    let mut bytes = content.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.extend_from_slice(b"\r\n");
            }
            b'\n' => lines.extend_from_slice(b"\r\n"),
            byte => lines.push(byte),
        }
    }
    if !lines.ends_with(b"\r\n") {
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// `content` as sent after DATA: with leading dots doubled, and the line that ends it (RFC 5321, 4.5.2).
pub(crate) fn dot_stuffed(content: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(content.len() + content.len() / 64 + 3);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

/// The time `millis` after the epoch.
pub(crate) fn system_time(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    SystemTime::UNIX_EPOCH + since
}
