//! The headers of a record.

use std::collections::BTreeMap;

use acteon_core::{Attempt, Secret};
use acteon_sinks_kit::{BrokerMessage, message_headers};
use rdkafka::message::{Header, OwnedHeaders};

/// The prefix that the Kafka binding of CloudEvents gives to attributes.
const ATTRIBUTE_PREFIX: &str = "ce_";

/// The configured headers, those of every message, and the attributes of a CloudEvent.
pub(crate) fn headers(
    configured: &BTreeMap<String, Secret>,
    message: &BrokerMessage<'_>,
    attempt: Attempt<'_>,
) -> OwnedHeaders {
    let count = configured.len() + message.attributes.len() + 5;
    let mut headers = OwnedHeaders::new_with_capacity(count);
    for (name, value) in configured {
        headers = with(headers, name, value.expose());
    }
    headers = with(headers, "content-type", message.content_type);
    for (name, value) in message_headers(attempt) {
        headers = with(headers, name, value);
    }
    for (name, value) in &message.attributes {
        headers = with(headers, &format!("{ATTRIBUTE_PREFIX}{name}"), value);
    }
    headers
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    let value = Some(value);
    headers.insert(Header { key, value })
}
