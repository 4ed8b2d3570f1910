//! Builds the message with lettre: its id, its headers and its parts. Converts line ends before lettre does, which takes
//! quadratic time for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acteon_core::{FailureCode, SinkError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lettre::address::Envelope;
use lettre::message::header::{
    Cc, ContentTransferEncoding, ContentType, HeaderName, HeaderValue, ReplyTo, To,
};
use lettre::message::{Attachment, Body, Mailbox, Mailboxes, Message, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use crate::hidden::longest_first;
use crate::recipient::{Recipient, needs_smtputf8};
use crate::wire::{MailContent, with_crlf};

/// The header with the idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "X-Acteon-Idempotency-Key";
/// Suppresses automatic answers such as absence notices (RFC 3834).
const AUTO_SUBMITTED: &str = "Auto-Submitted";
/// The maximum length of a word in a header, in bytes. A line ends only between words, and has at most 998 bytes.
pub(crate) const WORD_BYTES_MAX: usize = 900;
/// The maximum length of the text in one encoded word (RFC 2047, 2), in bytes.
const ENCODED_TEXT_BYTES_MAX: usize = 45;

/// The limits on payloads.
pub(crate) struct MailLimits {
    pub(crate) recipients: usize,
    pub(crate) attachment_bytes: usize,
    /// The headers that payloads may set.
    pub(crate) headers: Vec<HeaderName>,
}

/// The content of a payload, checked.
#[derive(Clone)]
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

#[derive(Clone)]
pub(crate) struct MailAttachment {
    pub(crate) filename: String,
    pub(crate) content_type: ContentType,
    pub(crate) content: Vec<u8>,
}

/// A message ready to be sent.
pub(crate) struct OutgoingMail {
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) message_id: String,
    /// The addresses to remove from replies: in lower case, the longest first.
    pub(crate) hidden_addresses: Arc<[String]>,
    pub(crate) content: MailContent,
    /// True if an address in the content or of a recipient is not ASCII before its `@`.
    pub(crate) needs_smtputf8: bool,
    /// For a server without SMTPUTF8: the content without the recipients that need it. `None` if there are no others, or
    /// if another address needs it.
    pub(crate) ascii_content: Option<MailContent>,
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
        let recipients = self.recipients.clone();
        let is_international = |one: &Recipient| needs_smtputf8(&one.address);
        let is_required = needs_smtputf8(&from.email)
            || self.reply_to.iter().any(|one| needs_smtputf8(&one.email));
        let is_for_some = recipients.iter().any(is_international);
        let is_for_all = is_required || recipients.iter().all(is_international);
        let ascii = (is_for_some && !is_for_all).then(|| self.without_international());
        let ascii_content = ascii
            .map(|ascii| ascii.content(from, key, at))
            .transpose()?;
        let lower = recipients
            .iter()
            .map(|one| one.address.to_string().to_ascii_lowercase());
        Ok(OutgoingMail {
            message_id: message_id(from, key),
            hidden_addresses: longest_first(lower.collect()),
            content: self.content(from, key, at)?,
            needs_smtputf8: is_required || is_for_some,
            ascii_content,
            recipients,
        })
    }

    /// The same message without the recipients that need SMTPUTF8.
    fn without_international(&self) -> Self {
        let mut ascii = self.clone();
        ascii.to.retain(|one| !needs_smtputf8(&one.email));
        ascii.cc.retain(|one| !needs_smtputf8(&one.email));
        ascii
    }

    fn content(self, from: &Mailbox, key: &str, at: SystemTime) -> Result<MailContent, SinkError> {
        let refused = |error| {
            let message = "the payload cannot be written as a message";
            SinkError::permanent(FailureCode::Serialization, message).with_source(error)
        };
        // Otherwise lettre would parse it from the headers.
        let addresses = self.recipients.into_iter().map(|one| one.address);
        let envelope = Envelope::new(None, addresses.collect()).map_err(refused)?;
        let mut builder = Message::builder()
            .envelope(envelope)
            .from(from.clone())
            .date(at)
            .message_id(Some(message_id(from, key)));
        if !self.to.is_empty() {
            builder = builder.header(To::from(Mailboxes::from(self.to)));
        }
        if !self.cc.is_empty() {
            builder = builder.header(Cc::from(Mailboxes::from(self.cc)));
        }
        if !self.reply_to.is_empty() {
            builder = builder.header(ReplyTo::from(Mailboxes::from(self.reply_to)));
        }
        let message = match parts(self.text, self.html, self.attachments) {
            Parts::One(part) => builder.singlepart(part),
            Parts::Many(parts) => builder.multipart(parts),
        };
        let mut message = message.map_err(refused)?;
        let headers = message.headers_mut();
        headers.insert_raw(subject(self.subject));
        let own = [(IDEMPOTENCY_KEY, key), (AUTO_SUBMITTED, "auto-generated")];
        for (name, value) in own {
            let name = HeaderName::new_from_ascii_str(name);
            headers.insert_raw(HeaderValue::new(name, value.to_owned()));
        }
        for (name, value) in self.headers {
            headers.insert_raw(HeaderValue::new(name, value));
        }
        Ok(MailContent::new(&message.formatted()))
    }
}

fn message_id(from: &Mailbox, key: &str) -> String {
    format!("<{key}@{}>", from.email.domain())
}

/// The header `Subject`. With a word that is too long for a line, all of it is encoded (RFC 2047): an encoded text may be
/// divided anywhere.
fn subject(text: String) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if !has_long_word(&text) {
        return HeaderValue::new(name, text);
    }
    let mut words = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(ENCODED_TEXT_BYTES_MAX));
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    HeaderValue::dangerous_new_pre_encoded(name, text, words.join("\r\n "))
}

/// True if a header with this value would have a line that is too long.
pub(crate) fn has_long_word(text: &str) -> bool {
    // Words with other characters are encoded, and divided as needed.
    let mut words = text.split(' ');
    words.any(|word| word.is_ascii() && word.len() > WORD_BYTES_MAX)
}

enum Parts {
    One(SinglePart),
    Many(MultiPart),
}

fn parts(text: Option<String>, html: Option<String>, attachments: Vec<MailAttachment>) -> Parts {
    let body = match (text, html) {
        (Some(text), Some(html)) => Parts::Many(MultiPart::alternative_plain_html(
            with_crlf(&text),
            with_crlf(&html),
        )),
        (None, Some(html)) => Parts::One(SinglePart::html(with_crlf(&html))),
        (text, None) => Parts::One(SinglePart::plain(with_crlf(&text.unwrap_or_default()))),
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

/// The time `millis` after the epoch.
pub(crate) fn system_time(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    SystemTime::UNIX_EPOCH + since
}
