//! The JSON Schema of rule files, for editors: what may stand where, with a word on each key. Made from the tables that
//! the readers go by, so that it knows what they know. It refuses nothing that loading accepts; what only loading can
//! see (a regular expression, a name that is taken) it lets by.

mod action;
mod condition;
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
                "description": "The rules of this file. They are tried by priority, then by file name, then in the order in which they stand here.",
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

/// A definition of this schema in a role of its own.
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
        "description": "A condition, and what to do with the actions that it holds for.",
        "type": "object",
        "properties": properties(KEYS, key),
        "required": ["name", "condition", "action"],
        "additionalProperties": false,
    })
}

fn key(name: &str) -> Value {
    match name {
        "name" => json!({
            "description": "What the rule is called in traces, audit records and the API. Unique over all files.",
            "type": "string",
            "minLength": 1,
            "maxLength": NAME_BYTES_MAX,
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        }),
        "priority" => json!({
            "description": "Lower comes first. Rules of one priority follow by file name, then by their place in the file.",
            "type": "integer",
            "minimum": i64::MIN,
            "maximum": i64::MAX,
            "default": 0,
        }),
        "description" => json!({
            "description": "What the rule is for, in listings.",
            "type": "string",
        }),
        "enabled" => json!({
            "description": "Whether the rule takes part. The API can switch it without a change of the file.",
            "type": "boolean",
            "default": true,
        }),
        "condition" => refer_as(
            "condition",
            "When the rule matches: a tree of `all`, `any`, `not` and tests, or a CEL expression. `all: []` always holds.",
        ),
        "action" => refer_as("action", "What happens to an action that the rule matches."),
        "continue" => json!({
            "description": "Go on to later rules after this one matched. What they do adds up; `deny` and `suppress` end it all the same.",
            "type": "boolean",
            "default": false,
        }),
        "on_error" => json!({
            "description": "What follows when the rule cannot be evaluated or applied. `skip`: as if it did not match. `deny`: the action is suppressed. `fail`: the outcome is Failed.",
            "enum": names(&ON_ERROR),
            "default": "skip",
        }),
        "timezone" => json!({
            "description": "The IANA name of the zone that `time.*` is read in. Without it: `default_timezone` of the configuration's `[rules]`, else UTC.",
            "type": "string",
            "examples": ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"],
        }),
        "metadata" => json!({
            "description": "Strings of your own that are carried into the trace.",
            "type": "object",
            "additionalProperties": {"type": "string"},
            "default": {},
        }),
        _ => json!(true),
    }
}
