//! A rule's own payload for its summaries: any JSON whose strings are templates in the language of Jinja. Rendering is
//! bounded in work and output, so that a template can neither stall the process nor fill its memory.

use std::collections::BTreeSet;

use acteon_core::Payload;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error as ThisError;

use crate::summary::{Summary, SummaryPayload, depth};

/// What rendering one template may cost: about as many steps, or 64 bytes for each of them.
const FUEL: u64 = 200_000;
/// The largest payload that a template may produce, in bytes.
const OUTPUT_BYTES_MAX: usize = 512 * 1024;
/// The values that a template sees.
const FIELDS: [&str; 10] = [
    "group_id",
    "group_key",
    "rule",
    "event_count",
    "omitted",
    "events",
    "labels",
    "first_at",
    "last_at",
    "flushed_at",
];
/// A group as a template sees it, to find mistakes when rules are loaded.
const EXAMPLE: &str = r#"{
    "group_id": "01980000-0000-7000-8000-000000000000", "group_key": "0", "rule": "example",
    "event_count": 3, "omitted": 1, "events": [{}, {}], "labels": {},
    "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:20Z", "flushed_at": "2026-01-01T00:00:30Z"
}"#;

/// The template of a summary's payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SummaryTemplate(Value);

/// What is wrong with a text of a template.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum TemplateProblem {
    /// It is not a template, or uses what does not exist.
    #[error("in the template: {0}")]
    Invalid(String),
    /// It names a value that summaries do not have.
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
}

impl SummaryTemplate {
    /// The names of the values that a template sees.
    pub const VALUES: [&str; 10] = FIELDS;

    /// A payload in which every string is a template. A string of one expression yields its value with its type.
    pub fn new(payload: Value) -> Self {
        Self(payload)
    }

    /// Checks one string of a template: renders it for an example, and reports what cannot work for any group. An
    /// operation that fails only because the example lacks a value is not reported.
    ///
    /// # Errors
    /// If it is not a template, names a value, filter, test or function that does not exist, or never ends.
    pub fn check(text: &str) -> Result<(), TemplateProblem> {
        let environment = environment();
        let example = serde_json::from_str(EXAMPLE).unwrap_or(Value::Null);
        let unknown = unknown_values(&environment, text).map_err(|error| invalid(&error))?;
        if let Some(name) = unknown.into_iter().next() {
            return Err(TemplateProblem::UnknownValue(name));
        }
        let rendered = render_text(&environment, text, &minijinja::Value::from(Serde(&example)));
        match rendered {
            Err(error) if !depends_on_values(error.kind()) => Err(invalid(&error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The payload for a group.
    ///
    /// # Errors
    /// If an operation fails for these values, or a bound is exceeded.
    pub fn render(&self, values: &SummaryPayload<'_>) -> Result<Payload, TemplateError> {
        // Payloads are JSON text, which a template cannot look into.
        let values = serde_json::to_vec(values).unwrap_or_default();
        let values: Value = serde_json::from_slice(&values).unwrap_or(Value::Null);
        let mut rendering = Rendering {
            environment: environment(),
            values: minijinja::Value::from(Serde(&values)),
            bytes_left: OUTPUT_BYTES_MAX,
        };
        let tree = rendering.tree(&self.0)?;
        let payload = Payload::from_value(&tree).unwrap_or_else(|_| Payload::null());
        if payload.len() > OUTPUT_BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        if depth(payload.as_bytes()) > Payload::DEPTH_MAX {
            return Err(TemplateError::TooDeep);
        }
        Ok(payload)
    }
}

impl Summary {
    /// The payload by the template. If the template fails, the default payload, which names the error, and the error.
    pub fn payload(&self, template: Option<&SummaryTemplate>) -> (Payload, Option<TemplateError>) {
        match template.map(|template| template.render(&self.values())) {
            None => (self.by_default(None), None),
            Some(Ok(payload)) => (payload, None),
            Some(Err(error)) => (self.by_default(Some(&error.to_string())), Some(error)),
        }
    }
}

/// A template being rendered.
struct Rendering {
    environment: Environment<'static>,
    values: minijinja::Value,
    bytes_left: usize,
}

impl Rendering {
    fn tree(&mut self, template: &Value) -> Result<Value, TemplateError> {
        Ok(match template {
            Value::String(text) => self.text(text)?,
            Value::Array(items) => {
                let items = items.iter().map(|item| self.tree(item));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.tree(value)?)));
                Value::Object(members.collect::<Result<_, TemplateError>>()?)
            }
            other => other.clone(),
        })
    }

    fn text(&mut self, text: &str) -> Result<Value, TemplateError> {
        let rendered = render_text(&self.environment, text, &self.values);
        let rendered = rendered.map_err(|error| TemplateError::Failed(Box::new(error)))?;
        let bytes = match &rendered {
            Value::String(text) => text.len(),
            other => serde_json::to_vec(other).map_or(0, |json| json.len()),
        };
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.ok_or(TemplateError::TooLong)?;
        Ok(rendered)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
}

/// Renders a text; a text of one expression yields its value.
fn render_text(
    environment: &Environment<'_>,
    text: &str,
    values: &minijinja::Value,
) -> Result<Value, Error> {
    let Some(expression) = sole_expression(text) else {
        return environment
            .render_str(text, values.clone())
            .map(Value::String);
    };
    let value = environment
        .compile_expression(expression)?
        .eval(values.clone())?;
    if value.is_undefined() {
        return Ok(Value::Null);
    }
    serde_json::to_value(&value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// The expression, if the text consists of one and nothing else.
fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let is_one = !["{{", "}}", "{%", "{#"]
        .iter()
        .any(|mark| inner.contains(mark));
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    is_one.then(|| inner.strip_suffix('-').unwrap_or(inner))
}

fn unknown_values(environment: &Environment<'_>, text: &str) -> Result<BTreeSet<String>, Error> {
    let named = match sole_expression(text) {
        Some(expression) => environment
            .compile_expression(expression)?
            .undeclared_variables(false),
        None => environment
            .template_from_str(text)?
            .undeclared_variables(false),
    };
    let is_known = |name: &str| {
        FIELDS.contains(&name) || environment.globals().any(|(global, _)| global == name)
    };
    Ok(named.into_iter().filter(|name| !is_known(name)).collect())
}

/// Whether the same template may work for other values.
fn depends_on_values(kind: ErrorKind) -> bool {
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

fn invalid(error: &Error) -> TemplateProblem {
    TemplateProblem::Invalid(sentence(error))
}

/// The error without the name that the library gives to the text.
fn sentence(error: &Error) -> String {
    let message = error.to_string();
    let end = message.find(" (in <").unwrap_or(message.len());
    message[..end].to_owned()
}
