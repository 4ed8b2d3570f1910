//! Values as rules see them, borrowed from the action, the payload's JSON text or the state's answers. Paths to them
//! are in `path.rs`, the action they belong to in `facts.rs`.

use std::borrow::Cow;

use crate::json;
use crate::number::Number;

/// A value as a rule sees it. Null and absent are the same; texts are UTF-8 without quotes and escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FactValue<'s> {
    Nothing,
    Bool(bool),
    Number(Number<'s>),
    Text(&'s [u8]),
    /// The list's JSON text.
    List(&'s [u8]),
    /// The object's JSON text.
    Object(&'s [u8]),
}

impl<'s> FactValue<'s> {
    pub(crate) fn text(text: Option<&'s str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.as_bytes()))
    }

    /// Appends the value as JSON with its numbers as they are written.
    pub(crate) fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.extend_from_slice(b"null"),
            Self::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Self::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Text(text) => json::write_text(text, out),
            Self::List(json) | Self::Object(json) => json::write_sorted(json, out),
        }
    }

    /// Appends the value in canonical JSON: two values are equal exactly if their canonical texts are.
    pub(crate) fn write_canonical(self, out: &mut Vec<u8>) {
        self.write_with(|number, out| number.write_canonical(out), out);
    }

    /// Appends the value as compact JSON with sorted keys, its numbers in the form that `number` writes.
    pub(crate) fn write_with(self, number: fn(Number<'_>, &mut Vec<u8>), out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.extend_from_slice(b"null"),
            Self::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Self::Number(value) => number(value, out),
            Self::Text(text) => json::write_text(text, out),
            Self::List(list) => {
                out.push(b'[');
                for (at, item) in json::items(list).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    with_value(item, |value| value.write_with(number, out));
                }
                out.push(b']');
            }
            Self::Object(object) => {
                out.push(b'{');
                for (at, (name, value)) in json::sorted_members(object).iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    json::write_text(name, out);
                    out.push(b':');
                    with_value(value, |value| value.write_with(number, out));
                }
                out.push(b'}');
            }
        }
    }
}

/// A value parsed from JSON text. Owns the text of a string that has escapes.
pub(crate) enum ParsedValue<'a> {
    Plain(FactValue<'a>),
    Unescaped(Vec<u8>),
}

impl<'a> ParsedValue<'a> {
    pub(crate) fn new(json: &'a [u8]) -> Self {
        match json.first() {
            Some(b'"') => match json::unescaped(json::content(json)) {
                Cow::Borrowed(text) => Self::Plain(FactValue::Text(text)),
                Cow::Owned(text) => Self::Unescaped(text),
            },
            Some(b'{') => Self::Plain(FactValue::Object(json)),
            Some(b'[') => Self::Plain(FactValue::List(json)),
            Some(b't') => Self::Plain(FactValue::Bool(true)),
            Some(b'f') => Self::Plain(FactValue::Bool(false)),
            Some(b'n') | None => Self::Plain(FactValue::Nothing),
            Some(_) => {
                Self::Plain(Number::parse(json).map_or(FactValue::Nothing, FactValue::Number))
            }
        }
    }

    pub(crate) fn value(&self) -> FactValue<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::Unescaped(text) => FactValue::Text(text),
        }
    }
}

/// Calls `look` with the value of a JSON text, such as an item of a list.
pub(crate) fn with_value<T>(json: &[u8], look: impl FnOnce(FactValue<'_>) -> T) -> T {
    look(ParsedValue::new(json).value())
}
