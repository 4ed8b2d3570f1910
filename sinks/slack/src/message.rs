//! Reads the payload of an action and writes the message. Errors name the field and never show its content.

use acteon_core::{Action, FailureCode, SinkError};
use acteon_sinks_kit::cut;
use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::layout::{fit_attachments, fit_blocks};
use crate::markup::Markup;

/// The limit of the text of a message.
const TEXT_MAX: usize = 40_000;
/// How much of a payload is shown that is no message.
const PAYLOAD_MAX: usize = 2500;
/// The limit of a name.
const NAME_MAX: usize = 80;

/// The payload. Unknown fields are ignored, because a fallback provider may use them.
#[derive(Deserialize)]
struct SlackPayload<'a> {
    channel: Option<CompactString>,
    text: Option<String>,
    blocks: Option<Vec<Value>>,
    attachments: Option<Vec<Value>>,
    #[serde(borrow)]
    thread_ts: Option<&'a RawValue>,
    reply_broadcast: Option<bool>,
    username: Option<String>,
    icon_emoji: Option<String>,
    icon_url: Option<String>,
    unfurl_links: Option<bool>,
    unfurl_media: Option<bool>,
}

/// A message as Slack reads it.
#[derive(Serialize)]
pub(crate) struct SlackMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_broadcast: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_emoji: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_links: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_media: Option<bool>,
}

impl SlackMessage {
    /// The message for `action`, within the limits of Slack.
    ///
    /// # Errors
    /// A permanent error that names a field of the wrong type.
    pub(crate) fn of(action: &Action, markup: Markup) -> Result<Self, SinkError> {
        let mut payload = read(action)?;
        let mut blocks = payload.blocks.take().unwrap_or_default();
        let mut attachments = payload.attachments.take().unwrap_or_default();
        let has_content = !blocks.is_empty() || !attachments.is_empty();
        fit_blocks(&mut blocks, markup);
        fit_attachments(&mut attachments, markup);
        let text = match payload.text.filter(|text| !text.trim().is_empty()) {
            Some(text) => Some(markup.text(&text, TEXT_MAX)),
            None if has_content => None,
            None => Some(summary(action)),
        };
        Ok(Self {
            text,
            blocks,
            attachments,
            thread_ts: payload.thread_ts.map(thread).transpose()?.flatten(),
            channel: payload.channel,
            reply_broadcast: payload.reply_broadcast,
            username: payload
                .username
                .map(|name| cut(&name, NAME_MAX, |_| 1).into_owned()),
            icon_emoji: payload.icon_emoji,
            icon_url: payload.icon_url,
            unfurl_links: payload.unfurl_links,
            unfurl_media: payload.unfurl_media,
        })
    }

    /// The body of the request.
    pub(crate) fn to_json(&self) -> Result<Bytes, SinkError> {
        let json = serde_json::to_vec(self).map_err(|error| {
            let message = "the message could not be serialized as JSON";
            SinkError::permanent(FailureCode::Serialization, message).with_source(error)
        })?;
        Ok(json.into())
    }
}

fn read(action: &Action) -> Result<SlackPayload<'_>, SinkError> {
    let bytes = action.payload.as_bytes();
    let bytes: &[u8] = match bytes.first() {
        Some(b'{') => bytes,
        // Any other JSON is shown as it is.
        _ => b"{}",
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| invalid(&error.path().to_string(), "has the wrong type"))
}

/// The text of a number that identifies a thread. Read as a number, it would lose digits.
fn thread(given: &RawValue) -> Result<Option<String>, SinkError> {
    let text = given.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text)
            .map(Some)
            .map_err(|_| invalid("thread_ts", "has the wrong type")),
        Some(b'0'..=b'9') => Ok(Some(text.to_owned())),
        Some(b'n') => Ok(None),
        _ => Err(invalid("thread_ts", "has the wrong type")),
    }
}

/// The text for a payload without content for Slack, such as the summary of a group: its type, and the payload as JSON.
fn summary(action: &Action) -> String {
    let payload: Option<Value> = action.payload.parse().ok();
    let payload = payload.and_then(|value| serde_json::to_string_pretty(&value).ok());
    let payload = payload.unwrap_or_default().replace("```", "'''");
    let kind = Markup::Escape.text(&action.action_type, PAYLOAD_MAX);
    let payload = Markup::Escape.text(&payload, PAYLOAD_MAX);
    format!("*{kind}*\n```\n{payload}\n```")
}

fn invalid(field: &str, what: &str) -> SinkError {
    SinkError::permanent(FailureCode::Serialization, format!("`{field}` {what}"))
}
