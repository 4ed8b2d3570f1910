//! What a failure to publish means.

use std::time::Duration;

use acteon_core::{FailureCode, SinkError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::events::ClientEvents;

/// The wait before the next attempt when the client's queue is full.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// Classifies the error of a record.
pub(crate) fn classify(error: KafkaError, events: &ClientEvents) -> SinkError {
    match error.rdkafka_error_code() {
        Some(code) => of_code(code, events),
        // Only the creation of a client has no code. The message would contain values of properties.
        None => SinkError::provider_fault(
            FailureCode::Configuration,
            "the Kafka client could not be created",
        ),
    }
    .with_source(error)
}

fn of_code(code: RDKafkaErrorCode, events: &ClientEvents) -> SinkError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            let message = format!("the broker refused the record: {code}");
            SinkError::permanent(FailureCode::ExecutionFailed, message).too_large()
        }
        Code::InvalidRecord | Code::InvalidTimestamp | Code::UnsupportedForMessageFormat => {
            let message = format!("the broker refused the record: {code}");
            SinkError::permanent(FailureCode::ExecutionFailed, message)
        }
        Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition => {
            let message = format!("the brokers refuse the topic or the client: {code}");
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
        Code::QueueFull => {
            let message = "the queue of the Kafka client is full";
            SinkError::transient(FailureCode::Connection, message).after(FULL_WAIT)
        }
        Code::MessageTimedOut => unconfirmed(events),
        _ => {
            let message = format!("the record was not confirmed: {code}");
            SinkError::transient(FailureCode::ExecutionFailed, message)
        }
    }
}

/// No broker has confirmed the record in time. It may have been stored nevertheless.
fn unconfirmed(events: &ClientEvents) -> SinkError {
    let message = format!(
        "no broker confirmed the record in time: {}",
        events.why_unreachable()
    );
    match events.is_refused() {
        true => SinkError::provider_fault(FailureCode::Configuration, message),
        false => SinkError::transient(FailureCode::Timeout, message),
    }
}
