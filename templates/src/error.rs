//! What is wrong with a template: found when it is loaded, or when it is rendered.

use std::fmt;

use acteon_core::Payload;
use minijinja::{Error, ErrorKind};
use thiserror::Error as ThisError;

use crate::bounded::OUTPUT_BYTES_MAX;

/// What is wrong with a text of a template.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum TemplateProblem {
    /// It is not a template, or uses what does not exist.
    #[error("in the template: {0}")]
    Invalid(String),
    /// It names a value that does not exist.
    #[error("a template has no value `{0}`")]
    UnknownValue(String),
}

/// Why a template cannot be rendered.
#[derive(Debug, ThisError)]
pub enum TemplateError {
    /// It failed for these values, or did too much work.
    #[error("{}", sentence(.0))]
    Failed(Box<Error>),
    /// Its output is too long.
    #[error("the payload has more than {OUTPUT_BYTES_MAX} bytes")]
    TooLong,
    /// Its output nests too deeply.
    #[error("the payload is nested more than {} levels deep", Payload::DEPTH_MAX)]
    TooDeep,
    /// Its output must be JSON and is not.
    #[error("the output is not JSON: {0}")]
    NotJson(serde_json::Error),
}

impl TemplateError {
    /// The error without values of the action: what may be logged.
    pub fn without_values(&self) -> String {
        match self {
            Self::Failed(error) => public_sentence(error),
            Self::TooLong | Self::TooDeep => self.to_string(),
            Self::NotJson(error) => format!(
                "the output is not JSON, at line {} column {}",
                error.line(),
                error.column()
            ),
        }
    }

    /// The line of the template that failed.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Failed(error) => error.line(),
            Self::TooLong | Self::TooDeep | Self::NotJson(_) => None,
        }
    }
}

/// What is wrong with a template of a provider, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// The name of the template: its file, or its place in a preset.
    pub template: String,
    /// The line, from 1.
    pub line: usize,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            template,
            line,
            message,
        } = self;
        write!(f, "{template}:{line}: {message}")
    }
}

impl TemplateFault {
    /// A fault in the first line.
    pub(crate) fn new(template: &str, message: impl Into<String>) -> Self {
        Self {
            template: template.to_owned(),
            line: 1,
            message: message.into(),
        }
    }

    /// A fault found by the library, with all it says. For a reader who may see the values.
    pub(crate) fn of(template: &str, error: &Error) -> Self {
        Self::at(template, error, sentence(error))
    }

    /// The same without values of the action.
    pub(crate) fn public(template: &str, error: &TemplateError) -> Self {
        match error {
            TemplateError::Failed(inner) => Self::at(template, inner, error.without_values()),
            other => Self::new(template, other.without_values()),
        }
    }

    /// The template that failed may be one that `template` includes.
    fn at(template: &str, error: &Error, message: String) -> Self {
        Self {
            template: error.name().unwrap_or(template).to_owned(),
            line: error.line().unwrap_or(1),
            message,
        }
    }
}

/// Whether the same template may work for other values.
pub(crate) fn depends_on_values(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TemplateNotFound
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
            | ErrorKind::OutOfFuel
    )
}

/// The error without the name that the library gives to the text.
pub(crate) fn sentence(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// The detail of most errors repeats a value. That of these names an expression of the template.
fn public_sentence(error: &Error) -> String {
    match error.kind() {
        ErrorKind::UndefinedError | ErrorKind::SyntaxError => sentence(error),
        // The name of an included template may be a value.
        ErrorKind::TemplateNotFound => error.kind().to_string(),
        kind if !depends_on_values(kind) => sentence(error),
        kind => kind.to_string(),
    }
}
