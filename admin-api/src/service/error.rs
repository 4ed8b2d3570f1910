//! The errors of the use cases, by what the caller can do about them. `rest` converts them to HTTP.

use std::time::Duration;

use acteon_core::audit::AuditError;
use acteon_core::decode::DecodeError;
use acteon_core::rules::{EvaluateError, RulesError};
use acteon_core::silence_admin::SilenceError;
use acteon_core::{Refusal, StateError};
use compact_str::CompactString;
use thiserror::Error;

/// Why a use case failed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// There is no such rule.
    #[error("no rule is named \"{0}\"")]
    RuleNotFound(String),
    /// The rules do not change until the files or the directory are corrected.
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
    /// There is no such event inside the scope.
    #[error("there is no event with the fingerprint \"{0}\"")]
    EventNotFound(CompactString),
    /// The event's machine does not allow the transition, or the event is in another state than the caller believes.
    #[error("{0}")]
    InvalidTransition(String),
    /// Another replay delivers the letter now. It is worth trying again: the letter remains if that replay fails.
    #[error("the dead letter \"{0}\" is being replayed")]
    ReplayInProgress(CompactString),
    /// There is no such group inside the scope.
    #[error("there is no group under the key \"{0}\"")]
    GroupNotFound(String),
    /// Several rules have a group under the key.
    #[error("several rules have a group under the key \"{0}\"; name one with `rule`")]
    GroupAmbiguous(String),
    /// The group is being delivered already.
    #[error("the group under the key \"{0}\" is being delivered")]
    GroupNotPending(String),
    /// There is no such silence inside the scope.
    #[error("there is no silence \"{0}\"")]
    SilenceNotFound(CompactString),
    /// The silence is not written: it is none, it has ended, there are too many, or it is outside the caller's scope.
    #[error(transparent)]
    SilenceRefused(SilenceError),
    /// No provider has this name.
    #[error("no provider is named \"{0}\"")]
    ProviderNotFound(CompactString),
    /// The bytes are not an action.
    #[error(transparent)]
    NotAnAction(#[from] DecodeError),
    /// The mock state of an evaluation is invalid.
    #[error("{0}")]
    MockState(String),
    /// A dead letter's bytes are not an action. It can be deleted, but not replayed.
    #[error("the bytes of the dead letter are not an action: {0}")]
    NotReplayable(DecodeError),
    /// The namespace, tenant or type of the action is outside the caller's scope.
    #[error("the action is outside your scope")]
    Forbidden,
    /// The pipeline returned the action without an outcome. A later retry may succeed.
    #[error("the action was not processed")]
    #[allow(missing_docs)]
    Refused { refusal: Refusal, after: Duration },
    /// The state backend did not answer.
    #[error(transparent)]
    State(#[from] StateError),
    /// The audit backend did not answer.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The change is in effect, but its record is missing.
    #[error("the change was made, but its audit record could not be written")]
    Unrecorded(#[source] AuditError),
    /// A bug: the change may or may not be in effect.
    #[error("the change was aborted")]
    Aborted,
}

impl AdminError {
    /// True if there was nothing to change or to show, or another request is changing it.
    pub fn changed_nothing(&self) -> bool {
        matches!(
            self,
            Self::RuleNotFound(_)
                | Self::AuditRecordNotFound(_)
                | Self::AuditDisabled
                | Self::DeadLetterNotFound(_)
                | Self::EventNotFound(_)
                | Self::InvalidTransition(_)
                | Self::ReplayInProgress(_)
                | Self::ProviderNotFound(_)
                | Self::GroupNotFound(_)
                | Self::GroupAmbiguous(_)
                | Self::GroupNotPending(_)
                | Self::SilenceNotFound(_)
                | Self::SilenceRefused(_)
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
