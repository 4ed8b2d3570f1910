//! How the errors of the use cases look in answers and in the OpenAPI document.

use std::error::Error;

use acteon_connect_http::{ApiError, ErrorBody, code};
use acteon_core::StateError;
use acteon_core::audit::AuditError;
use acteon_core::silence_admin::SilenceError;
use utoipa::IntoResponses;

use crate::events;
use crate::service::AdminError;

/// The state or the audit backend cannot be reached. If only the record of a change could not be written, the message
/// says so: the change is in effect.
#[derive(IntoResponses)]
#[response(status = 503, headers(("Retry-After" = u64, description = "Seconds to wait.")), example = json!({
    "code": "STATE_UNAVAILABLE",
    "message": "the state backend cannot be reached",
    "retryable": true,
    "retry_after": 1,
}))]
#[expect(dead_code, reason = "for the document only")]
pub(super) struct BackendUnavailable(ErrorBody);

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
            AdminError::EventNotFound(_) => Self::not_found(code::EVENT_NOT_FOUND, message),
            AdminError::InvalidTransition(_) => Self::invalid_transition(message),
            AdminError::ReplayInProgress(_) => Self::replay_in_progress(message),
            AdminError::GroupNotFound(_) => Self::not_found(code::GROUP_NOT_FOUND, message),
            AdminError::GroupAmbiguous(_) => Self::group_ambiguous(message),
            AdminError::GroupNotPending(_) => Self::group_not_pending(message),
            AdminError::SilenceNotFound(_) => Self::not_found(code::SILENCE_NOT_FOUND, message),
            AdminError::SilenceRefused(error) => of_silence(error),
            AdminError::NotAnAction(error) => error.into(),
            AdminError::MockState(_) => Self::invalid_json(message),
            AdminError::NotReplayable(_) => Self::invalid_action(message),
            AdminError::Forbidden => Self::forbidden(message),
            AdminError::Refused { refusal, after } => Self::of_refusal(*refusal, *after, &error),
            AdminError::State(StateError::Unavailable(_)) => {
                unavailable("state", "the state backend cannot be reached", &error)
            }
            AdminError::Audit(AuditError::Unavailable(_)) => {
                unavailable("audit", "the audit backend cannot be reached", &error)
            }
            AdminError::Unrecorded(_) => unavailable("audit", &message, &error),
            AdminError::State(StateError::Corrupt(_))
            | AdminError::Audit(AuditError::Corrupt(_))
            | AdminError::Aborted => Self::internal(&error),
        }
    }
}

fn of_silence(error: &SilenceError) -> ApiError {
    let message = error.to_string();
    match error {
        SilenceError::NotFound => ApiError::not_found(code::SILENCE_NOT_FOUND, message),
        SilenceError::Forbidden => ApiError::forbidden(message),
        SilenceError::Invalid { field, message } => {
            ApiError::invalid_silence(format!("`{field}`: {message}"))
        }
        SilenceError::Ended => ApiError::silence_ended(message),
        SilenceError::Full(_) => ApiError::silences_full(message),
        SilenceError::State(StateError::Unavailable(_)) => {
            unavailable("state", "the state backend cannot be reached", error)
        }
        SilenceError::State(StateError::Corrupt(_)) => ApiError::internal(error),
    }
}

/// 503 with this message; the cause goes to the log.
fn unavailable(backend: &'static str, message: &str, error: &(dyn Error + 'static)) -> ApiError {
    events::backend_unavailable(backend, error);
    let mut answer = ApiError::state_unavailable();
    message.clone_into(&mut answer.message);
    answer
}
