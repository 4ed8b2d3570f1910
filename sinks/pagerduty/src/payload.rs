//! Reads the payload of an action. Errors name the field and never show its content.

use acteon_core::{Action, FailureCode, SinkError};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The payload of an event. Unknown fields are ignored, because a fallback provider may use them.
#[derive(Deserialize)]
pub(crate) struct EventPayload {
    pub(crate) event_action: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) severity: Option<Value>,
    pub(crate) source: Option<Scalar>,
    pub(crate) component: Option<Scalar>,
    pub(crate) group: Option<Scalar>,
    pub(crate) class: Option<Scalar>,
    pub(crate) timestamp: Option<String>,
    pub(crate) custom_details: Option<Value>,
    pub(crate) images: Option<Vec<Map<String, Value>>>,
    pub(crate) links: Option<Vec<Map<String, Value>>>,
    pub(crate) dedup_key: Option<Scalar>,
    pub(crate) service_id: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) client_url: Option<String>,
}

/// A text, or a number that PagerDuty wants as text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Text(String),
    Number(serde_json::Number),
}

impl Scalar {
    /// Its text, unless it is empty.
    pub(crate) fn into_text(self) -> Option<String> {
        let text = match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        };
        (!text.trim().is_empty()).then_some(text)
    }
}

/// Reads the payload of `action`.
///
/// # Errors
/// A permanent error that names a field of the wrong type.
pub(crate) fn read(action: &Action) -> Result<EventPayload, SinkError> {
    let bytes = action.payload.as_bytes();
    let bytes: &[u8] = match bytes.first() {
        Some(b'{') => bytes,
        // Any other JSON becomes a detail of the event.
        _ => b"{}",
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let message = format!("`{}` has the wrong type", error.path());
        SinkError::permanent(FailureCode::Serialization, message)
    })
}
