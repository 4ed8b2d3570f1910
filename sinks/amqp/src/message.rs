//! The routing key and the properties of a message.

use std::collections::BTreeMap;

use acteon_connect_amqp::{AMQPValue, BasicProperties, FieldTable, LongString, ShortString};
use acteon_core::{Action, Attempt, FailureCode, Secret, SinkError};
use acteon_sinks_kit::{BrokerMessage, RoutingTemplate, broker_headers};

/// The prefix that the AMQP binding of CloudEvents gives to attributes.
pub(crate) const ATTRIBUTE_PREFIX: &str = "cloudEvents_";
/// The longest name in the protocol.
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// The broker writes such messages of durable queues to its disk.
const PERSISTENT: u8 = 2;
const APP: &str = "acteon";

/// The routing key of an action.
///
/// # Errors
/// Permanent, if a value cannot be a part of a routing key, or if the key is too long.
pub(crate) fn routing_key(
    template: &RoutingTemplate,
    action: &Action,
) -> Result<String, SinkError> {
    let is_special = |c: char| matches!(c, '*' | '#');
    let key = template.render(action, "routing key", is_special)?;
    if key.len() > NAME_BYTES_MAX {
        let message = format!("the routing key is longer than {NAME_BYTES_MAX} bytes");
        return Err(SinkError::permanent(FailureCode::ExecutionFailed, message));
    }
    Ok(key.into())
}

/// The properties of a message: its id, type and time, and its headers, which are the configured ones, those of every
/// message, and the attributes of a CloudEvent.
pub(crate) fn properties(
    configured: &BTreeMap<String, Secret>,
    message: &BrokerMessage<'_>,
    attempt: Attempt<'_>,
) -> BasicProperties {
    let action = attempt.action;
    let mut headers = FieldTable::default();
    for (name, value) in broker_headers(configured, message, attempt, ATTRIBUTE_PREFIX) {
        if let Ok(name) = ShortString::try_new(name) {
            headers.insert(name, AMQPValue::LongString(LongString::from(value)));
        }
    }
    let seconds = u64::try_from(action.created_at.timestamp().as_second()).unwrap_or(0);
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(message.content_type.into())
        .with_timestamp(seconds)
        .with_app_id(APP.into())
        .with_headers(headers);
    // A name that is too long for its field is in the headers.
    if let Ok(id) = ShortString::try_new(attempt.idempotency_key) {
        properties = properties.with_message_id(id);
    }
    if let Ok(kind) = ShortString::try_new(action.action_type.as_str()) {
        properties = properties.with_type(kind);
    }
    properties
}
