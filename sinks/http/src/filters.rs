//! The filters of presets, besides those of the language: limits of length as services count them, and encodings.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a filter receives its arguments by value"
)]

use acteon_sinks_kit::{cut, header_text};
use acteon_templates::{Undefined, environment, indented_json, json_of, text_of};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, Output, State, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// What stays as it is in a path (RFC 3986, "unreserved").
const PATH_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The environment of a preset's templates.
pub(crate) fn preset_environment() -> Environment<'static> {
    let mut environment = environment(Undefined::Refused);
    environment.add_filter("cut", cut_text);
    environment.add_filter("cut_fields", cut_fields);
    environment.add_filter("hashed", hashed);
    environment.add_filter("base64", base64);
    environment.add_filter("header", header);
    environment.add_filter("pretty", pretty);
    environment.add_filter("strings", strings);
    environment
}

/// The same for a path: each value is percent-encoded.
pub(crate) fn path_environment() -> Environment<'static> {
    let mut environment = preset_environment();
    environment.set_formatter(encoded);
    environment
}

fn encoded(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = text_of(value)?;
    let encoded = utf8_percent_encode(&text, PATH_VALUE).to_string();
    out.write_str(&encoded).map_err(Error::from)
}

/// The text of a value: `None` if there is none, so that it can be left out.
fn known_text(value: &Value) -> Result<Option<String>, Error> {
    match value {
        value if value.is_undefined() || value.is_none() => Ok(None),
        value => text_of(value).map(Some),
    }
}

/// A text with at most `max` characters; a longer one ends in a note. What does not exist stays so.
fn cut_text(value: Value, max: usize) -> Result<Value, Error> {
    Ok(match known_text(&value)? {
        Some(text) => Value::from(cut(&text, max, |_| 1).into_owned()),
        None => value,
    })
}

/// A key with at most `max` characters; a longer one is replaced by its hash, which is as unique.
fn hashed(value: Value, max: usize) -> Result<Value, Error> {
    Ok(match known_text(&value)? {
        Some(text) if text.chars().count() > max => Value::from(hex(&Sha256::digest(&text))),
        _ => value,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// An id as the value of a header: what headers cannot hold is percent-encoded.
fn header(text: &str) -> String {
    let value = header_text(text);
    value.to_str().unwrap_or_default().to_owned()
}

/// A value as indented JSON.
fn pretty(value: Value) -> Result<String, Error> {
    // Nested deeply, the indentation of a short value may be longer than anything that is sent.
    indented_json(&value, 2).or_else(|_| json_of(&value).map(|json| json.to_string()))
}

/// An object whose values are strings: others are written as JSON, and `null` is left out.
fn strings(value: Value) -> Result<Value, Error> {
    let Json::Object(members) = json_of(&value)? else {
        return Ok(Value::from(Serde(Json::Object(Default::default()))));
    };
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    let members = members.map(|(name, value)| match value {
        Json::String(text) => (name, Json::String(text)),
        other => (name, Json::String(other.to_string())),
    });
    Ok(Value::from(Serde(Json::Object(members.collect()))))
}

/// A value in which the texts of certain members, at any depth, have at most as many characters: `cut_fields(title=256)`.
/// `total` bounds all of them together.
fn cut_fields(value: Value, limits: Kwargs) -> Result<Value, Error> {
    let mut fields = Vec::new();
    let mut left = usize::MAX;
    for name in limits.args() {
        let max: usize = limits.get(name)?;
        match name {
            "total" => left = max,
            name => fields.push((name.to_owned(), max)),
        }
    }
    fields.sort_by_key(|(_, max)| *max);
    let mut json = json_of(&value)?;
    cut_members(&mut json, &fields, &mut left);
    Ok(Value::from(Serde(json)))
}

fn cut_members(json: &mut Json, fields: &[(String, usize)], left: &mut usize) {
    match json {
        Json::Array(items) => {
            for at in 0..items.len() {
                let before = items[at].as_object().map_or(0, serde_json::Map::len);
                cut_members(&mut items[at], fields, left);
                // An item that has lost a text may be refused.
                let after = items[at].as_object().map_or(0, serde_json::Map::len);
                if after < before {
                    items.truncate(at);
                    break;
                }
            }
        }
        Json::Object(members) => {
            // The shortest first: names and titles say what the longer texts are about.
            for (field, max) in fields {
                let Some(Json::String(text)) = members.get_mut(field) else {
                    continue;
                };
                if *left == 0 && !text.is_empty() {
                    members.remove(field);
                    continue;
                }
                *text = within(text, (*max).min(*left));
                *left -= text.chars().count().min(*left);
            }
            for value in members.values_mut().filter(|value| !value.is_string()) {
                cut_members(value, fields, left);
            }
        }
        _ => {}
    }
}

/// The beginning of a text, with a note if there is room for one.
fn within(text: &str, max: usize) -> String {
    match cut(text, max, |_| 1).into_owned() {
        cut if cut.chars().count() <= max => cut,
        _ => text.chars().take(max).collect(),
    }
}
