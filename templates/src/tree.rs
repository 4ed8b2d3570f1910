//! A tree of templates: any JSON whose strings are templates. A string of one expression yields its value with its type.

use std::collections::BTreeSet;

use minijinja::value::Serde;
use minijinja::{Environment, Error};
use serde_json::Value;

use crate::bounded::{OUTPUT_BYTES_MAX, json_of, too_complex};
use crate::environment::{Undefined, environment};
use crate::error::{TemplateError, TemplateProblem, depends_on_values, sentence};

/// What an expression becomes whose value does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// `null`.
    Null,
    /// The member of an object, or the item of a list, is left out.
    LeftOut,
}

/// Trees being rendered with the same values. Their output is bounded together.
pub struct TreeRendering<'e> {
    environment: &'e Environment<'static>,
    values: minijinja::Value,
    absent: Absent,
    bytes_left: usize,
    /// The way to the string that is rendered.
    path: Vec<String>,
}

impl<'e> TreeRendering<'e> {
    /// Renders with these values.
    pub fn new(
        environment: &'e Environment<'static>,
        values: minijinja::Value,
        absent: Absent,
    ) -> Self {
        Self {
            environment,
            values,
            absent,
            bytes_left: OUTPUT_BYTES_MAX,
            path: Vec::new(),
        }
    }

    /// The tree with every string rendered.
    ///
    /// # Errors
    /// If a string fails for these values, or a bound is exceeded. [`Self::place`] is then the place of the string.
    pub fn tree(&mut self, template: &Value) -> Result<Value, TemplateError> {
        Ok(self.member(template)?.unwrap_or(Value::Null))
    }

    /// One text.
    ///
    /// # Errors
    /// As [`Self::tree`].
    pub fn text(&mut self, text: &str) -> Result<String, TemplateError> {
        let rendered = self.environment.render_str(text, self.values.clone());
        let rendered = rendered.map_err(|error| TemplateError::Failed(Box::new(error)))?;
        self.charge(rendered.len())?;
        Ok(rendered)
    }

    /// The place in the tree of the string that failed, such as `attachments[0].text`.
    pub fn place(&self) -> String {
        self.path.concat().trim_start_matches('.').to_owned()
    }

    /// `None`: it is left out.
    fn member(&mut self, template: &Value) -> Result<Option<Value>, TemplateError> {
        Ok(Some(match template {
            Value::String(text) => match self.leaf(text)? {
                None if self.absent == Absent::LeftOut => return Ok(None),
                leaf => leaf.unwrap_or(Value::Null),
            },
            Value::Array(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    rendered.extend(self.below(format!("[{at}]"), item)?);
                }
                Value::Array(rendered)
            }
            Value::Object(members) => {
                let mut rendered = serde_json::Map::new();
                for (key, value) in members {
                    let value = self.below(format!(".{key}"), value)?;
                    rendered.extend(value.map(|value| (key.clone(), value)));
                }
                Value::Object(rendered)
            }
            other => other.clone(),
        }))
    }

    /// After an error the path stays.
    fn below(&mut self, step: String, template: &Value) -> Result<Option<Value>, TemplateError> {
        self.path.push(step);
        let rendered = self.member(template)?;
        self.path.pop();
        Ok(rendered)
    }

    /// `None`: the value of the expression does not exist.
    fn leaf(&mut self, text: &str) -> Result<Option<Value>, TemplateError> {
        let rendered = render_text(self.environment, text, &self.values);
        let rendered = rendered.map_err(|error| TemplateError::Failed(Box::new(error)))?;
        let bytes = match &rendered {
            Some(Value::String(text)) => text.len(),
            Some(other) => serde_json::to_vec(other).map_or(0, |json| json.len()),
            None => 0,
        };
        self.charge(bytes)?;
        Ok(rendered)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), TemplateError> {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.ok_or(TemplateError::TooLong)?;
        Ok(())
    }
}

/// Checks one string of a tree that is rendered with [`Undefined::Empty`]: renders it for an example, and reports what
/// cannot work for any values. An operation that fails only because the example lacks a value is not reported.
///
/// # Errors
/// If it is not a template, names a value, filter, test or function that does not exist, or never ends.
pub fn check_text(text: &str, names: &[&str], example: &Value) -> Result<(), TemplateProblem> {
    check_text_in(&environment(Undefined::Empty), text, names, example)
}

/// The same in an environment with further filters.
///
/// A name with a dot, such as `options.key`, is a member of a value that has no other members.
///
/// # Errors
/// As [`check_text`].
pub fn check_text_in(
    environment: &Environment<'_>,
    text: &str,
    names: &[&str],
    example: &Value,
) -> Result<(), TemplateProblem> {
    if let Some(message) = too_complex(text) {
        return Err(TemplateProblem::Invalid(message));
    }
    let unknown = unknown_values(environment, text, names).map_err(|error| invalid(&error))?;
    if let Some(name) = unknown.into_iter().next() {
        return Err(TemplateProblem::UnknownValue(name));
    }
    match render_text(environment, text, &minijinja::Value::from(Serde(example))) {
        Err(error) if !depends_on_values(error.kind()) => Err(invalid(&error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Renders a text; a text of one expression yields its value, or `None` if that does not exist.
fn render_text(
    environment: &Environment<'_>,
    text: &str,
    values: &minijinja::Value,
) -> Result<Option<Value>, Error> {
    let Some(expression) = sole_expression(text) else {
        let rendered = environment.render_str(text, values.clone())?;
        return Ok(Some(Value::String(rendered)));
    };
    let value = environment
        .compile_expression(expression)?
        .eval(values.clone())?;
    if value.is_undefined() {
        return Ok(None);
    }
    json_of(&value).map(Some)
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

fn unknown_values(
    environment: &Environment<'_>,
    text: &str,
    names: &[&str],
) -> Result<BTreeSet<String>, Error> {
    let named = match sole_expression(text) {
        Some(expression) => environment
            .compile_expression(expression)?
            .undeclared_variables(true),
        None => environment
            .template_from_str(text)?
            .undeclared_variables(true),
    };
    Ok(unknown(environment, named, names))
}

/// The names that are neither values nor of the library. A known name with a dot is a member of a value that has no
/// others.
pub(crate) fn unknown(
    environment: &Environment<'_>,
    named: impl IntoIterator<Item = String>,
    names: &[&str],
) -> BTreeSet<String> {
    let is_below = |name: &str, parent: &str| {
        let rest = name.strip_prefix(parent);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let is_known = |name: &str| {
        let mut names = names.iter();
        names.any(|known| is_below(name, known) || is_below(known, name))
            || environment
                .globals()
                .any(|(global, _)| is_below(name, global))
    };
    let root = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let has_root = |name: &str| names.iter().any(|known| root(known) == root(name));
    let unknown = named.into_iter().filter(|name| !is_known(name));
    // Of a value that does not exist at all, the members do not matter.
    let unknown = unknown.map(|name| match has_root(&name) {
        true => name,
        false => root(&name),
    });
    unknown.collect()
}

fn invalid(error: &Error) -> TemplateProblem {
    TemplateProblem::Invalid(sentence(error))
}
