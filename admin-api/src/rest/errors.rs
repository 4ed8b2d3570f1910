//! How refusals of the use cases look on the wire. How the document describes them stands in `refusals`.

use std::error::Error;
use std::time::Duration;

use acteon_connect_http::{ApiError, code};
use acteon_core::audit::AuditError;
use acteon_core::decode::DecodeError;
use acteon_core::{Refusal, StateError};

use crate::events;
use crate::service::AdminError;

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match &error {
            AdminError::RuleNotFound(_) => Self::not_found(code::RULE_NOT_FOUND, message),
            AdminError::RulesInvalid(_) => Self::rules_invalid(message),
            AdminError::AuditRecordNotFound(_) => {
                Self::not_found(code::AUDIT_RECORD_NOT_FOUND, message)
            }
            AdminError::AuditDisabled => Self::not_found(code::AUDIT_DISABLED, message),
            AdminError::DeadLetterNotFound(_) | AdminError::ProviderNotFound(_) => {
                Self::not_found(code::NOT_FOUND, message)
            }
            AdminError::NotAnAction(DecodeError::Json { .. }) | AdminError::MockState(_) => {
                Self::invalid_json(message)
            }
            AdminError::NotAnAction(DecodeError::Action { .. }) | AdminError::NotReplayable(_) => {
                Self::invalid_action(message)
            }
            AdminError::Forbidden => Self::forbidden(message),
            AdminError::Refused { refusal, after } => refused(*refusal, *after, &error),
            AdminError::State(StateError::Unavailable(_)) => {
                away("state", "the state backend cannot be reached", &error)
            }
            AdminError::Audit(AuditError::Unavailable(_)) => {
                away("audit", "the audit backend cannot be reached", &error)
            }
            AdminError::Unrecorded(_) => away("audit", &message, &error),
            AdminError::State(StateError::Corrupt(_))
            | AdminError::Audit(AuditError::Corrupt(_))
            | AdminError::BrokenOff => Self::internal(&error),
        }
    }
}

fn refused(refusal: Refusal, after: Duration, error: &AdminError) -> ApiError {
    match refusal {
        Refusal::Overloaded => ApiError::overloaded(after),
        Refusal::StateFull | Refusal::DeadLettersFull => ApiError::state_full(after),
        Refusal::StateUnavailable => ApiError::state_unavailable(),
        Refusal::Busy => ApiError::busy(after),
        Refusal::ShuttingDown => ApiError::shutting_down(),
        Refusal::Abandoned => ApiError::internal(error),
    }
}

/// 503: a backend cannot be asked. The log says why.
fn away(backend: &'static str, message: &str, error: &(dyn Error + 'static)) -> ApiError {
    events::backend_away(backend, error);
    let mut answer = ApiError::state_unavailable();
    message.clone_into(&mut answer.message);
    answer
}
