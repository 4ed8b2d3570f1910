//! A rule's own payload for its summaries: any JSON whose strings are templates in the language of Jinja.

use acteon_core::Payload;
use acteon_templates::{
    Absent, OUTPUT_BYTES_MAX, TemplateError, TemplateProblem, TreeRendering, Undefined, check_text,
    depth, environment,
};
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::summary::{Summary, SummaryPayload};

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
        let example = serde_json::from_str(EXAMPLE).unwrap_or(Value::Null);
        check_text(text, &FIELDS, &example)
    }

    /// The payload for a group.
    ///
    /// # Errors
    /// If an operation fails for these values, or a bound is exceeded.
    pub fn render(&self, values: &SummaryPayload<'_>) -> Result<Payload, TemplateError> {
        // Payloads are JSON text, which a template cannot look into.
        let values = serde_json::to_vec(values).unwrap_or_default();
        let values: Value = serde_json::from_slice(&values).unwrap_or(Value::Null);
        let environment = environment(Undefined::Empty);
        let values = minijinja::Value::from(Serde(&values));
        let tree = TreeRendering::new(&environment, values, Absent::Null).tree(&self.0)?;
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
