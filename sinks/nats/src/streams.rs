//! Asks JetStream about the streams that take the messages of a subject. Creates and publishes nothing.

use acteon_connect_nats::{HeaderMap, NatsLink, NatsRequestError};
use acteon_core::BuildError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ack::{StreamConfig, StreamInfo, StreamNames};

/// Asks for the names of streams.
const STREAM_NAMES: &str = "$JS.API.STREAM.NAMES";
/// Asks about one stream.
const STREAM_INFO: &str = "$JS.API.STREAM.INFO";

/// The names of the streams that take messages of `subject`, in which `*` is any word. `None` if the user may not ask.
///
/// # Errors
/// If there is no such stream, or one that never acknowledges a message, or if JetStream does not answer.
pub(crate) async fn find_streams(
    link: &NatsLink,
    subject: &str,
) -> Result<Option<Vec<String>>, BuildError> {
    let question = json!({"subject": subject});
    let Some(found) = ask::<StreamNames>(link, STREAM_NAMES, &question).await? else {
        return Ok(None);
    };
    if let Some(error) = found.error {
        return Err(BuildError::at("url", error.description));
    }
    let names = found.streams.unwrap_or_default();
    if names.is_empty() {
        let message = format!("no stream takes messages of `{subject}`");
        return Err(BuildError::at("subject", message));
    }
    for name in &names {
        check_acks(link, name).await?;
    }
    Ok(Some(names))
}

/// Refuses a stream that acknowledges nothing. The user may not be allowed to ask about it.
async fn check_acks(link: &NatsLink, name: &str) -> Result<(), BuildError> {
    let about = format!("{STREAM_INFO}.{name}");
    let info = ask::<StreamInfo>(link, &about, &json!({})).await?;
    match info.and_then(|info| info.config) {
        Some(StreamConfig { no_ack: true }) => {
            let message = format!(
                "the stream `{name}` acknowledges no message, because it has `no_ack`: every attempt would fail"
            );
            Err(BuildError::at("subject", message))
        }
        Some(StreamConfig { no_ack: false }) | None => Ok(()),
    }
}

/// The answer of JetStream. `None` if the user may not ask: one who only publishes need not.
async fn ask<T: DeserializeOwned>(
    link: &NatsLink,
    subject: &str,
    question: &Value,
) -> Result<Option<T>, BuildError> {
    let wrong = |message: &str| Err(BuildError::at("url", message));
    let question = question.to_string();
    let asked = link.request(subject, HeaderMap::new(), question.into());
    match asked.await {
        Ok(answer) => match serde_json::from_slice(&answer.payload) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) => wrong("JetStream answers something unknown"),
        },
        Err(NatsRequestError::SubjectDenied) => Ok(None),
        Err(NatsRequestError::NoResponders) => wrong("JetStream is not enabled for this account"),
        Err(error) => wrong(&error.to_string()),
    }
}
