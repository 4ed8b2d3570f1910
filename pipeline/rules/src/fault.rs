//! Why a rule that matched could not do what it says. What follows is the rule's `on_error`.

use thiserror::Error;

use crate::cel::CelError;

/// Names no content of the payload.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error(
        "its templates write more than {} bytes",
        crate::modify::OUTPUT_BYTES_MAX
    )]
    TooLong,
    #[error(
        "the changed payload would be nested deeper than {} levels",
        acteon_core::Payload::DEPTH_MAX
    )]
    TooDeep,
    #[error("the state that it reads was not known")]
    NotGathered,
    #[error(transparent)]
    Cel(#[from] CelError),
    #[error("the payload is not well-formed JSON")]
    Unreadable(#[source] serde_json::Error),
    #[error(
        "more than {} throttle rules matched this action",
        crate::decide::QUOTAS_MAX
    )]
    TooManyQuotas,
}

impl Fault {
    /// Whether no other part of a condition makes up for it.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Cel(error) if error.is_final())
    }
}
