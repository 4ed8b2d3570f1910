//! The limits of evaluating rules for one action, and why a rule could not be evaluated or applied. The rule's `on_error`
//! decides what follows. No message repeats content of the payload.

use acteon_core::state::QUOTAS_MAX;
use thiserror::Error;

/// How many bytes the templates of one rule may write, and by how much all rules together may lengthen a payload.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// The longest text a template yields where text is needed, such as a key, in bytes; longer texts are cut.
pub(crate) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// How many steps the CEL of one rule may take.
pub(crate) const CEL_STEPS_MAX: u32 = 100_000;

/// How many bytes of values the CEL of one rule may create.
pub(crate) const CEL_BYTES_MAX: usize = 1024 * 1024;

/// How deep lists and maps created by an expression may nest, on top of the nesting inside the payload. Comparing and
/// dropping them recurses that deep.
pub(crate) const CEL_DEPTH_MAX: u8 = 32;

/// Why a rule that applies to an action failed.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("its templates write more than {OUTPUT_BYTES_MAX} bytes")]
    TooLong,
    #[error(
        "the changed payload would be nested deeper than {} levels",
        acteon_core::Payload::DEPTH_MAX
    )]
    TooDeep,
    #[error("the state that it reads is unknown")]
    StateUnknown,
    #[error(transparent)]
    Cel(#[from] CelError),
    #[error("the payload is not well-formed JSON")]
    Unreadable(#[source] serde_json::Error),
    #[error("more than {QUOTAS_MAX} throttle rules matched this action")]
    TooManyQuotas,
}

impl Fault {
    /// Whether the condition fails whatever its other parts say.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Cel(error) if error.is_final())
    }
}

/// Why a CEL expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CelError {
    #[error("a field that it reads is absent")]
    NoField,
    #[error("a list has no item at this index")]
    NoItem,
    #[error("`{0}` does not take values of these types")]
    NoOverload(&'static str),
    #[error("`{0}` cannot take this value")]
    NotConvertible(&'static str),
    #[error("an integer is out of range")]
    Overflow,
    #[error("division by zero")]
    DivisionByZero,
    #[error("a condition must be true or false, and this value is neither")]
    NotBool,
    #[error("a key must be a string, a number or a boolean, and this value is none of them")]
    NotAKey,
    #[error("NaN cannot be part of a key, because it equals nothing")]
    NanKey,
    #[error("a map has the same key twice")]
    RepeatedKey,
    #[error("the state that it reads is unknown")]
    StateUnknown,
    #[error("it takes more than {CEL_STEPS_MAX} steps")]
    TooManySteps,
    #[error("it creates values of more than {CEL_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it nests lists and maps deeper than {CEL_DEPTH_MAX} levels")]
    TooDeep,
}

impl CelError {
    /// Whether evaluation must stop: the budget is used up.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::TooManySteps | Self::TooLarge)
    }
}
