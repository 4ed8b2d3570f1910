//! An action as a message of a broker: its body, its content type, and what accompanies it.

use acteon_core::{Action, Attempt, FailureCode, ProviderResponse, SinkError};
use bytes::Bytes;
use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cloud_event;
use crate::wire::action_bytes;

const JSON: &str = "application/json";
const CLOUD_EVENT: &str = "application/cloudevents+json";

/// What a message contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageFormat {
    /// The whole action.
    #[default]
    Action,
    /// The payload of the action alone.
    Payload,
    /// A CloudEvent as one document; the payload is its data.
    Cloudevents,
    /// A CloudEvent whose body is the payload, with its attributes in headers.
    CloudeventsBinary,
}

/// A message.
#[derive(Clone, Debug)]
pub struct BrokerMessage<'a> {
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body: JSON.
    pub body: Bytes,
    /// The attributes of a CloudEvent in binary mode, without the prefix of the protocol.
    pub attributes: Vec<(&'a str, CompactString)>,
}

impl MessageFormat {
    /// Writes an action in this format.
    ///
    /// # Errors
    /// `SERIALIZATION`, which well-formed names and times never cause.
    pub fn write(self, action: &Action) -> Result<BrokerMessage<'_>, SinkError> {
        let written = match self {
            Self::Action => action_bytes(action),
            Self::Cloudevents => cloud_event::document(action),
            Self::Payload | Self::CloudeventsBinary => Ok(action.payload.as_bytes().clone()),
        };
        let body = written.map_err(|error| {
            let message = "the action could not be serialized as JSON";
            SinkError::permanent(FailureCode::Serialization, message).with_source(error)
        })?;
        let content_type = match self {
            Self::Cloudevents => CLOUD_EVENT,
            Self::Action | Self::Payload | Self::CloudeventsBinary => JSON,
        };
        let attributes = match self {
            Self::CloudeventsBinary => cloud_event::attributes(action),
            Self::Action | Self::Payload | Self::Cloudevents => Vec::new(),
        };
        Ok(BrokerMessage {
            content_type,
            body,
            attributes,
        })
    }
}

/// The success of an action whose message the broker has confirmed. The answer says where it is.
///
/// # Errors
/// `SERIALIZATION`, if the answer is not an object.
pub fn confirmed<T: Serialize>(answer: &T) -> Result<ProviderResponse, SinkError> {
    ProviderResponse::success(answer).map_err(|error| {
        let message = "the answer of the broker could not be serialized";
        SinkError::permanent(FailureCode::Serialization, message).with_source(error)
    })
}

/// The headers of every message: the id of the action, the key that all its attempts have, and a valid trace.
pub(crate) fn message_headers(attempt: Attempt<'_>) -> impl Iterator<Item = (&'static str, &str)> {
    let action = attempt.action;
    let own = [
        ("acteon-action-id", action.id.as_str()),
        ("idempotency-key", attempt.idempotency_key),
    ];
    own.into_iter().chain(action.trace())
}

/// The names that [`message_headers`] and the body set. Options may not.
pub(crate) const RESERVED_HEADERS: &[&str] = &[
    "acteon-action-id",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "content-type",
];
