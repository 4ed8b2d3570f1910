//! Reads the payload of an action. Errors name the field and never show its content.

use std::collections::BTreeMap;

use acteon_core::{FailureCode, Payload, SinkError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName};
use serde::Deserialize;

use crate::message::{MailAttachment, MailDraft, MailLimits, WORD_BYTES_MAX, has_long_word};
use crate::recipient::{Recipient, RecipientField, parse_mailbox};

/// The maximum length of an address with its name, in bytes. In a header every character may be escaped.
const MAILBOX_BYTES_MAX: usize = 480;
/// The maximum length of a media type with its parameters, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// The payload. Unknown fields are ignored, because a fallback provider may use them.
#[derive(Deserialize)]
struct MailPayload {
    to: Option<OneOrMany>,
    cc: Option<OneOrMany>,
    bcc: Option<OneOrMany>,
    reply_to: Option<OneOrMany>,
    subject: Option<String>,
    body: Option<String>,
    html_body: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    attachments: Option<Vec<AttachmentPayload>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct AttachmentPayload {
    filename: Option<String>,
    content_type: Option<String>,
    content: Option<String>,
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Reads `payload`.
///
/// # Errors
/// A permanent error that names the wrong field.
pub(crate) fn draft(payload: &Payload, limits: &MailLimits) -> Result<MailDraft, SinkError> {
    let mut bytes = serde_json::Deserializer::from_slice(payload.as_bytes());
    let payload: MailPayload =
        serde_path_to_error::deserialize(&mut bytes).map_err(|error| unreadable(&error))?;
    let lists = [&payload.to, &payload.cc, &payload.bcc];
    let all = lists
        .iter()
        .map(|list| list.as_ref().map_or(0, |list| list.as_slice().len()));
    if all.sum::<usize>() > limits.recipients {
        let what = format!("has more than {} recipients", limits.recipients);
        return Err(invalid("the payload", &what));
    }
    let to = mailboxes("to", payload.to.as_ref())?;
    let cc = mailboxes("cc", payload.cc.as_ref())?;
    let bcc = mailboxes("bcc", payload.bcc.as_ref())?;
    if to.is_empty() {
        return Err(invalid("`to`", "must name at least one recipient"));
    }
    let recipients = recipients([
        (RecipientField::To, &to),
        (RecipientField::Cc, &cc),
        (RecipientField::Bcc, &bcc),
    ]);
    let subject = payload
        .subject
        .ok_or_else(|| invalid("`subject`", "is missing"))?;
    Ok(MailDraft {
        reply_to: mailboxes("reply_to", payload.reply_to.as_ref())?,
        headers: headers(payload.headers.unwrap_or_default(), limits)?,
        attachments: attachments(payload.attachments.unwrap_or_default(), limits)?,
        recipients,
        to,
        cc,
        subject: one_line(&subject),
        text: body("`body`", payload.body)?,
        html: body("`html_body`", payload.html_body)?,
    })
}

/// The error names the field at which reading stopped.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> SinkError {
    let path = error.path().to_string();
    let cause = error.inner().to_string();
    let duplicate = cause.strip_prefix("duplicate field `");
    let duplicate = duplicate.and_then(|rest| rest.split('`').next());
    match (path.as_str(), duplicate) {
        (".", Some(field)) => invalid(&format!("`{field}`"), "appears twice"),
        (path, Some(field)) if !path.ends_with(field) => {
            invalid(&format!("`{path}.{field}`"), "appears twice")
        }
        (path, Some(_)) => invalid(&format!("`{path}`"), "appears twice"),
        (".", None) => invalid("the payload", "must be an object with `to` and `subject`"),
        (path, None) => invalid(&format!("`{path}`"), "has the wrong type"),
    }
}

/// An empty text is no text.
fn body(place: &str, text: Option<String>) -> Result<Option<String>, SinkError> {
    match text {
        Some(text) if text.contains('\0') => Err(invalid(place, "contains a NUL character")),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// Replaces control characters by spaces, so that a text cannot add a header.
pub(crate) fn one_line(text: &str) -> String {
    let replace = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(replace).collect()
}

fn mailboxes(field: &str, given: Option<&OneOrMany>) -> Result<Vec<Mailbox>, SinkError> {
    let texts = given.map_or(&[][..], OneOrMany::as_slice);
    let read = |(at, text): (usize, &String)| {
        let place = match given {
            Some(OneOrMany::Many(_)) => format!("`{field}[{at}]`"),
            Some(OneOrMany::One(_)) | None => format!("`{field}`"),
        };
        if text.len() > MAILBOX_BYTES_MAX {
            let what = format!("has more than {MAILBOX_BYTES_MAX} bytes");
            return Err(invalid(&place, &what));
        }
        parse_mailbox(text)
            .ok_or_else(|| invalid(&place, "is not an address such as user@example.com"))
    };
    texts.iter().enumerate().map(read).collect()
}

/// The recipients without duplicates.
fn recipients(fields: [(RecipientField, &Vec<Mailbox>); 3]) -> Vec<Recipient> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for (field, mailboxes) in fields {
        for mailbox in mailboxes {
            let address = mailbox.email.clone();
            if !recipients.iter().any(|known| known.address == address) {
                recipients.push(Recipient { field, address });
            }
        }
    }
    recipients
}

fn headers(
    given: BTreeMap<String, String>,
    limits: &MailLimits,
) -> Result<Vec<(HeaderName, String)>, SinkError> {
    let allowed = |(name, value): (String, String)| {
        let known = limits.headers.iter();
        let known = known
            .clone()
            .find(|known| known.eq_ignore_ascii_case(&name));
        let known = known.ok_or_else(|| {
            invalid(
                "`headers`",
                "contains a header that is not in `allow_headers`",
            )
        })?;
        if has_long_word(&value) {
            let what = format!("has a word of more than {WORD_BYTES_MAX} bytes");
            return Err(invalid(&format!("`headers.{known}`"), &what));
        }
        Ok((known.clone(), one_line(&value)))
    };
    given.into_iter().map(allowed).collect()
}

fn attachments(
    given: Vec<AttachmentPayload>,
    limits: &MailLimits,
) -> Result<Vec<MailAttachment>, SinkError> {
    let mut left = limits.attachment_bytes;
    let mut attachments = Vec::with_capacity(given.len());
    for (at, one) in given.into_iter().enumerate() {
        let place = |field: &str| format!("`attachments[{at}].{field}`");
        let content = one
            .content
            .ok_or_else(|| invalid(&place("content"), "is missing"))?;
        let content = without_line_breaks(content);
        // Four characters encode three bytes, so the length is known before decoding.
        if content.len() / 4 * 3 > left.saturating_add(2) {
            return Err(too_large(limits));
        }
        let content = BASE64_STANDARD.decode(content.as_bytes());
        let content = content.map_err(|_| invalid(&place("content"), "is not base64"))?;
        left = left
            .checked_sub(content.len())
            .ok_or_else(|| too_large(limits))?;
        let content_type = one
            .content_type
            .as_deref()
            .unwrap_or("application/octet-stream");
        let is_line = content_type.len() <= CONTENT_TYPE_BYTES_MAX
            && content_type
                .bytes()
                .all(|b| b.is_ascii_graphic() || b == b' ');
        let content_type = is_line
            .then(|| ContentType::parse(content_type).ok())
            .flatten();
        attachments.push(MailAttachment {
            filename: file_name(one.filename.as_deref().unwrap_or("attachment")),
            content_type: content_type.ok_or_else(|| {
                invalid(
                    &place("content_type"),
                    "is not a media type such as text/csv",
                )
            })?,
            content,
        });
    }
    Ok(attachments)
}

/// Encoders break lines after 64 or 76 characters.
fn without_line_breaks(mut base64: String) -> String {
    if base64.contains(['\r', '\n']) {
        base64.retain(|sign| !matches!(sign, '\r' | '\n'));
    }
    base64
}

/// Replaces the characters that separate folders or end a quoted string.
fn file_name(text: &str) -> String {
    let replace = |c: char| match c {
        '/' | '\\' | '"' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    text.chars().map(replace).collect()
}

fn too_large(limits: &MailLimits) -> SinkError {
    let what = format!("have more than {} bytes in total", limits.attachment_bytes);
    invalid("`attachments`", &what)
}

fn invalid(place: &str, what: &str) -> SinkError {
    SinkError::permanent(FailureCode::Serialization, format!("{place} {what}"))
}
