//! The JSON Schema of rule files, for editors, with a description of each key. It is built from the tables that the
//! readers use. It accepts everything that loading accepts; errors that only loading can find (an invalid regular
//! expression, a duplicate name) pass.

mod action;
mod condition;
mod group;
mod path;

use serde_json::{Map, Value, json};

use crate::rule::{KEYS, NAME_BYTES_MAX, ON_ERROR};

/// The JSON Schema (2020-12) of a rule file.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    definitions.insert("rule".into(), rule());
    condition::define(&mut definitions);
    action::define(&mut definitions);
    path::define(&mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Acteon rule file",
        "description": "Rules say whether, when and where actions are delivered.",
        "type": "object",
        "properties": {
            "rules": {
                "description": "The rules of this file. They are tried by priority, then by file name, then in the order of the file.",
                "type": "array",
                "items": refer("rule"),
            },
        },
        "required": ["rules"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// A definition of this schema.
fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A reference to a definition, with a description of its use here.
fn refer_as(name: &str, description: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}"), "description": description})
}

/// The words of a table.
fn names<'t, T>(words: &'t [(&'t str, T)]) -> Vec<&'t str> {
    words.iter().map(|(name, _)| *name).collect()
}

/// Schemas by the keys that they are for.
fn properties<'k>(
    keys: impl IntoIterator<Item = &'k str>,
    schema: impl Fn(&str) -> Value,
) -> Value {
    let each = keys.into_iter().map(|key| (key.to_owned(), schema(key)));
    Value::Object(each.collect())
}

fn rule() -> Value {
    json!({
        "title": "Rule",
        "description": "A condition, and the action to take if it holds.",
        "type": "object",
        "properties": properties(KEYS, key),
        "required": ["name", "condition", "action"],
        "additionalProperties": false,
    })
}

fn key(name: &str) -> Value {
    match name {
        "name" => json!({
            "description": "The name of the rule in traces, audit records and the API. Unique over all files.",
            "type": "string",
            "minLength": 1,
            "maxLength": NAME_BYTES_MAX,
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        }),
        "priority" => json!({
            "description": "Lower comes first. Rules with equal priorities are ordered by file name, then by position in the file.",
            "type": "integer",
            "minimum": i64::MIN,
            "maximum": i64::MAX,
            "default": 0,
        }),
        "description" => json!({
            "description": "The purpose of the rule, for listings.",
            "type": "string",
        }),
        "enabled" => json!({
            "description": "Whether the rule takes part. The API can switch it without changing the file.",
            "type": "boolean",
            "default": true,
        }),
        "condition" => refer_as(
            "condition",
            "When the rule matches: a tree of `all`, `any`, `not` and tests, or a CEL expression. `all: []` always holds.",
        ),
        "action" => refer_as("action", "What happens to an action that matches the rule."),
        "continue" => json!({
            "description": "Continue with later rules after this one matched. Their effects add up; `deny` and `suppress` still end the evaluation.",
            "type": "boolean",
            "default": false,
        }),
        "on_error" => json!({
            "description": "What happens if the rule cannot be evaluated or applied. `skip`: the rule does not match. `deny`: the action is suppressed. `fail`: the outcome is Failed.",
            "enum": names(&ON_ERROR),
            "default": "skip",
        }),
        "timezone" => json!({
            "description": "The IANA name of the time zone for `time.*`. Default: `default_timezone` in `[rules]` of the configuration, else UTC.",
            "type": "string",
            "examples": ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"],
        }),
        "metadata" => json!({
            "description": "Custom strings that are copied into the trace.",
            "type": "object",
            "additionalProperties": {"type": "string"},
            "default": {},
        }),
        _ => json!(true),
    }
}
