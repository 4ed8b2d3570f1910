//! The headers of a record.

use std::collections::BTreeMap;
use std::iter::once;

use acteon_core::{Attempt, Secret};
use acteon_sinks_kit::{BrokerMessage, broker_headers};
use rdkafka::message::{Header, OwnedHeaders};

/// The prefix that the Kafka binding of CloudEvents gives to attributes.
pub(crate) const ATTRIBUTE_PREFIX: &str = "ce_";

/// The content type, the configured headers, those of every message, and the attributes of a CloudEvent.
pub(crate) fn headers(
    configured: &BTreeMap<String, Secret>,
    message: &BrokerMessage<'_>,
    attempt: Attempt<'_>,
) -> OwnedHeaders {
    let count = configured.len() + message.attributes.len() + 5;
    let headers = OwnedHeaders::new_with_capacity(count);
    let all = broker_headers(configured, message, attempt, ATTRIBUTE_PREFIX);
    let all = once(("content-type".into(), message.content_type)).chain(all);
    all.fold(headers, |headers, (name, value)| {
        let key = &name;
        let value = Some(value);
        headers.insert(Header { key, value })
    })
}
