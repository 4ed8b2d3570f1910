//! What a failure to publish means.

use acteon_connect_amqp::{AmqpConnectError, AmqpPublishError};
use acteon_core::{FailureCode, SinkError};

pub(crate) fn unconnected(error: AmqpConnectError) -> SinkError {
    let message = error.to_string();
    match error {
        AmqpConnectError::Unreachable(_) => SinkError::transient(FailureCode::Connection, message),
        AmqpConnectError::Refused(_) => {
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
    }
    .with_source(error)
}

pub(crate) fn unpublished(error: AmqpPublishError) -> SinkError {
    let message = error.to_string();
    match error {
        AmqpPublishError::TooLarge(_) => {
            SinkError::permanent(FailureCode::ExecutionFailed, message).too_large()
        }
        AmqpPublishError::Invalid(_) => SinkError::permanent(FailureCode::ExecutionFailed, message),
        AmqpPublishError::Denied(_) | AmqpPublishError::Unroutable => {
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
        AmqpPublishError::Unstored | AmqpPublishError::Blocked => {
            SinkError::transient(FailureCode::ExecutionFailed, message)
        }
        AmqpPublishError::Lost(_) => SinkError::transient(FailureCode::Connection, message),
    }
    .with_source(error)
}

/// No confirmation has come in time. The broker may have the message nevertheless.
pub(crate) fn unconfirmed() -> SinkError {
    let message = "the broker did not confirm the message in time";
    SinkError::transient(FailureCode::Timeout, message)
}
