//! The errors of the `http` sink. They name the place in the preset and never show values of the action.

use acteon_core::{FailureCode, SinkError};
use acteon_templates::TemplateError;

/// The action cannot be written as a request.
pub(crate) fn unwritable(place: &str, why: &str) -> SinkError {
    let message = format!("the preset's `{place}`: {why}");
    SinkError::permanent(FailureCode::Serialization, message)
}

/// A template of the preset failed.
pub(crate) fn template(place: &str, error: &TemplateError) -> SinkError {
    unwritable(place, &error.without_values())
}
