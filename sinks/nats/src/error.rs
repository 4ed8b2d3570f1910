//! What a failure to publish means.

use acteon_connect_nats::{NatsConnectError, NatsRequestError};
use acteon_core::{FailureCode, SinkError};
use acteon_sinks_kit::RoutingTemplate;

use crate::ack::StreamError;

/// The message or its headers are larger than the stream takes.
const TOO_LARGE: [u32; 2] = [10_054, 10_097];
/// The stream is sealed, or JetStream is not enabled: for the server, or for the account.
const NOT_TAKEN: [u32; 3] = [10_109, 10_076, 10_039];
/// The account has reached its limits.
const FULL: u32 = 10_002;

pub(crate) fn unconnected(error: &NatsConnectError) -> SinkError {
    let message = error.to_string();
    match error {
        NatsConnectError::Unreachable(_) => SinkError::transient(FailureCode::Connection, message),
        NatsConnectError::Refused(_) => {
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
    }
}

/// `subject` is where the message was to go.
pub(crate) fn unanswered(error: NatsRequestError, subject: &RoutingTemplate) -> SinkError {
    let message = error.to_string();
    match error {
        NatsRequestError::TooLarge(_) => {
            SinkError::permanent(FailureCode::ExecutionFailed, message).too_large()
        }
        NatsRequestError::Invalid(_) => SinkError::permanent(FailureCode::ExecutionFailed, message),
        NatsRequestError::NoResponders => {
            let message = "no stream takes messages of this subject";
            subject.untaken(message).with_source(error)
        }
        NatsRequestError::SubjectDenied => subject.untaken(message),
        NatsRequestError::InboxDenied => {
            SinkError::provider_fault(FailureCode::Configuration, message)
        }
        NatsRequestError::Lost => SinkError::transient(FailureCode::Connection, message),
    }
}

/// No ack has come in time. The stream may have the message nevertheless.
pub(crate) fn unconfirmed() -> SinkError {
    let message = "no stream confirmed the message in time";
    SinkError::transient(FailureCode::Timeout, message)
}

/// `subject` is where the message was to go.
pub(crate) fn refused(error: &StreamError, subject: &RoutingTemplate) -> SinkError {
    let message = format!("the stream refused the message: {}", error.description);
    let code = FailureCode::ExecutionFailed;
    match (error.number, error.code) {
        (number, _) if TOO_LARGE.contains(&number) => {
            SinkError::permanent(code, message).too_large()
        }
        (number, _) if NOT_TAKEN.contains(&number) => subject.untaken(message),
        (FULL, _) => SinkError::transient(code, message),
        (_, 401 | 403 | 404) => subject.untaken(message),
        (_, 400..=499) => SinkError::permanent(code, message),
        // A full stream that discards new messages is among these.
        _ => SinkError::transient(code, message),
    }
}

/// Something answers that is not a stream.
pub(crate) fn unreadable(error: serde_json::Error, subject: &RoutingTemplate) -> SinkError {
    let message = "the answer is not that of a stream: another client listens to the subject";
    subject.untaken(message).with_source(error)
}
