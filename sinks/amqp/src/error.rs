//! What a failure to publish means.

use acteon_connect_amqp::{AmqpConnectError, AmqpPublishError};
use acteon_core::{FailureCode, SinkError};
use acteon_sinks_kit::RoutingTemplate;

pub(crate) fn unconnected(error: &AmqpConnectError) -> SinkError {
    let message = error.to_string();
    match error {
        AmqpConnectError::Unreachable(_) => SinkError::transient(FailureCode::Connection, message),
        AmqpConnectError::Refused(_) => {
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
    }
}

/// `routing_key` is where the message was to go.
pub(crate) fn unpublished(error: &AmqpPublishError, routing_key: &RoutingTemplate) -> SinkError {
    let message = error.to_string();
    match error {
        AmqpPublishError::TooLarge(_) => {
            SinkError::permanent(FailureCode::ExecutionFailed, message).too_large()
        }
        AmqpPublishError::Invalid(_) => SinkError::permanent(FailureCode::ExecutionFailed, message),
        AmqpPublishError::KeyDenied | AmqpPublishError::Unroutable => routing_key.untaken(message),
        AmqpPublishError::Denied(_) => {
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
        AmqpPublishError::Unstored | AmqpPublishError::Blocked => {
            SinkError::transient(FailureCode::ExecutionFailed, message)
        }
        AmqpPublishError::Lost(_) => SinkError::transient(FailureCode::Connection, message),
    }
}

/// No confirmation has come in time. The broker may have the message nevertheless.
pub(crate) fn unconfirmed() -> SinkError {
    let message = "the broker did not confirm the message in time";
    SinkError::transient(FailureCode::Timeout, message)
}
