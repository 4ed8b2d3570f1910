//! Why a use case was refused, in terms of what the caller may do. How it looks on the wire is for `rest`.

use std::time::Duration;

use acteon_core::audit::AuditError;
use acteon_core::decode::DecodeError;
use acteon_core::rules::{EvaluateError, RulesError};
use acteon_core::{Refusal, StateError};
use compact_str::CompactString;
use thiserror::Error;

/// Why a use case was refused.
#[derive(Debug, Error)]
pub enum AdminError {
    /// There is no such rule.
    #[error("no rule is named \"{0}\"")]
    RuleNotFound(String),
    /// The rules stay as they are until the files or the directory are mended.
    #[error(transparent)]
    RulesInvalid(RulesError),
    /// The action has no record inside the scope.
    #[error("there is no audit record of the action \"{0}\"")]
    AuditRecordNotFound(CompactString),
    /// `[audit] enabled` is false.
    #[error("the audit trail is disabled")]
    AuditDisabled,
    /// There is no such dead letter inside the scope.
    #[error("there is no dead letter \"{0}\"")]
    DeadLetterNotFound(CompactString),
    /// There is no provider of this name.
    #[error("no provider is named \"{0}\"")]
    ProviderNotFound(CompactString),
    /// The bytes are not an action.
    #[error(transparent)]
    NotAnAction(#[from] DecodeError),
    /// What is wrong with the state that was made up for an evaluation.
    #[error("{0}")]
    MockState(String),
    /// A dead letter's bytes are not an action: it cannot be replayed, only deleted.
    #[error("its bytes are not an action: {0}")]
    NotReplayable(DecodeError),
    /// The action belongs to a namespace, tenant or type that the caller may not touch.
    #[error("the action lies outside of what you may touch")]
    Forbidden,
    /// Asking again later may help.
    #[error("the action could not be taken in now")]
    #[allow(missing_docs)]
    Refused { refusal: Refusal, after: Duration },
    /// The state backend gave no answer.
    #[error(transparent)]
    State(#[from] StateError),
    /// The audit backend gave no answer.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The change holds, its record is missing.
    #[error("the change was made, but its audit record could not be written")]
    Unrecorded(#[source] AuditError),
    /// A bug: the change may or may not hold.
    #[error("the change broke off")]
    BrokenOff,
}

impl AdminError {
    /// True when there was nothing to change or to show.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::RuleNotFound(_)
                | Self::AuditRecordNotFound(_)
                | Self::AuditDisabled
                | Self::DeadLetterNotFound(_)
                | Self::ProviderNotFound(_)
        )
    }
}

impl From<EvaluateError> for AdminError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Mock(message) => Self::MockState(message),
            EvaluateError::State(error) => Self::State(error),
        }
    }
}

impl From<RulesError> for AdminError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::NotFound(name) => Self::RuleNotFound(name),
            RulesError::State(error) => Self::State(error),
            other => Self::RulesInvalid(other),
        }
    }
}
