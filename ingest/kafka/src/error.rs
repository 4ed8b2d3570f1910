//! Options that have the right shape and still cannot work.

use std::ops::RangeInclusive;

use acteon_ingest_kit::PathError;
use thiserror::Error;

/// Each variant names the option and what to change.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    /// A value is required.
    #[error("`{option}` must not be empty")]
    #[allow(missing_docs)]
    Empty { option: &'static str },
    /// A number is too small or too large.
    #[error("`{option}` must be from {} to {}, not {found}", range.start(), range.end())]
    #[allow(missing_docs)]
    OutOfRange {
        option: &'static str,
        range: RangeInclusive<u32>,
        found: u32,
    },
    /// The source sets this client property itself.
    #[error("`client` must not set `{property}`: {instead}")]
    #[allow(missing_docs)]
    Owned {
        property: String,
        instead: &'static str,
    },
    /// A topic in two roles would feed itself.
    #[error("`{option}` names `{topic}`, which the source already uses")]
    #[allow(missing_docs)]
    Reused { option: &'static str, topic: String },
    /// The path is invalid.
    #[error("`ordering_key`: {0}")]
    OrderingKey(#[from] PathError),
    /// A pattern could match the topics that the source writes to.
    #[error("`topics` must be names, and `{0}` is a pattern")]
    Pattern(String),
    /// No broker accepts this topic name.
    #[error("`{option}`: `{topic}` cannot be the name of a topic")]
    #[allow(missing_docs)]
    NoTopic { option: &'static str, topic: String },
    /// A topic is listed twice.
    #[error("`topics` names `{topic}` twice")]
    #[allow(missing_docs)]
    Twice { topic: String },
    /// The client library does not accept the properties.
    #[error("`client`: {message}")]
    #[allow(missing_docs)]
    Refused { message: String },
}
