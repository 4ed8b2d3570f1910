//! The subject and the headers of a message.

use std::collections::BTreeMap;

use acteon_connect_nats::{HeaderMap, HeaderName, HeaderValue};
use acteon_core::{Action, Attempt, FailureCode, Secret, SinkError};
use acteon_sinks_kit::{BrokerMessage, RoutingTemplate, broker_headers, percent_encoded};

/// The prefix that the NATS binding of CloudEvents gives to attributes.
pub(crate) const ATTRIBUTE_PREFIX: &str = "ce-";
/// By this header a stream recognizes a message that it has already.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// A server closes the connection if a subject does not fit into its line, of 4,096 bytes by default.
const SUBJECT_BYTES_MAX: usize = 1024;

/// The subject of an action.
///
/// # Errors
/// Permanent, if a value cannot be a part of a subject, or if the subject is too long.
pub(crate) fn subject(template: &RoutingTemplate, action: &Action) -> Result<String, SinkError> {
    // Subjects that begin with `$` are requests to the server.
    let is_special = |c: char| c.is_whitespace() || matches!(c, '*' | '>' | '$');
    let subject = template.render(action, "subject", is_special)?;
    if subject.len() > SUBJECT_BYTES_MAX {
        let message = format!("the subject is longer than {SUBJECT_BYTES_MAX} bytes");
        return Err(SinkError::permanent(FailureCode::ExecutionFailed, message));
    }
    Ok(subject.into())
}

/// Refuses a subject that no message can have.
///
/// # Errors
/// One sentence about the subject.
pub(crate) fn check_subject(subject: &str) -> Result<(), String> {
    let is_illegal = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
    if subject.split('.').any(str::is_empty) {
        return Err("a word of the subject is empty".to_owned());
    }
    match subject.find(is_illegal) {
        None => Ok(()),
        Some(_) => Err("a subject to publish to has neither wildcards nor white space".to_owned()),
    }
}

/// The message id, the content type, the configured headers, those of every message, and the attributes of a
/// CloudEvent. Values are percent-encoded where they are not printable ASCII; configured ones stay as they are.
pub(crate) fn headers(
    configured: &BTreeMap<String, Secret>,
    message: &BrokerMessage<'_>,
    attempt: Attempt<'_>,
    provider: &str,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        // Names and values were checked or encoded: neither fails.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.insert(name, value);
        }
    };
    let id = format!("{}:{provider}", attempt.idempotency_key);
    add(MESSAGE_ID, &percent_encoded(&id));
    add("content-type", message.content_type);
    for (name, value) in broker_headers(configured, message, attempt, ATTRIBUTE_PREFIX) {
        match configured.contains_key(&*name) || name == "tracestate" {
            true => add(&name, value),
            false => add(&name, &percent_encoded(value)),
        }
    }
    headers
}
