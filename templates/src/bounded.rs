//! Values written as text or JSON within a bound. A list of lists that repeat each other is small in memory and long on
//! paper, so the writer counts, and stops.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a filter and a mapping of errors receive their arguments by value"
)]

use std::fmt;
use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// The largest output of templates that are rendered together, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 512 * 1024;

/// The widest indentation of a level of JSON.
const INDENT_MAX: usize = 16;

/// The longest expression or statement of a template. A chain of thousands of operators is parsed by recursion.
const BLOCK_BYTES_MAX: usize = 4096;
/// The most statements of a template.
const STATEMENTS_MAX: usize = 1000;

/// What is too long about a template, before it is parsed.
pub(crate) fn too_complex(text: &str) -> Option<String> {
    let mut statements = 0;
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let end = if rest[start..].starts_with("{{") {
            "}}"
        } else {
            "%}"
        };
        statements += usize::from(end == "%}");
        let block = &rest[start + 2..];
        let length = block.find(end).unwrap_or(block.len());
        if length > BLOCK_BYTES_MAX {
            return Some(format!(
                "an expression or statement has more than {BLOCK_BYTES_MAX} bytes"
            ));
        }
        rest = &block[length..];
    }
    (statements > STATEMENTS_MAX)
        .then(|| format!("the template has more than {STATEMENTS_MAX} statements"))
}

/// Text of at most [`OUTPUT_BYTES_MAX`] bytes.
#[derive(Default)]
struct BoundedText(Vec<u8>);

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        io::Write::write_all(self, text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl BoundedText {
    fn into_string(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }
}

/// A value as text.
///
/// # Errors
/// The text is longer than [`OUTPUT_BYTES_MAX`].
pub fn text_of(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let mut text = BoundedText::default();
    fmt::write(&mut text, format_args!("{value}")).map_err(|_| too_long())?;
    Ok(text.into_string())
}

/// A value as a JSON tree.
///
/// # Errors
/// Its text is longer than [`OUTPUT_BYTES_MAX`], or it has no JSON form.
pub fn json_of(value: &Value) -> Result<serde_json::Value, Error> {
    let written = json_text(value, CompactFormatter)?;
    serde_json::from_str(&written).map_err(unserializable)
}

/// A value as JSON on lines, indented by this many spaces a level.
///
/// # Errors
/// As [`json_of`], or the indentation is too wide.
pub fn indented_json(value: &Value, width: usize) -> Result<String, Error> {
    if width > INDENT_MAX {
        let message = format!("JSON is indented by at most {INDENT_MAX} spaces a level");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let spaces = " ".repeat(width);
    json_text(value, PrettyFormatter::with_indent(spaces.as_bytes()))
}

fn json_text(value: &Value, formatter: impl Formatter) -> Result<String, Error> {
    let mut text = BoundedText::default();
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, formatter));
    written.map_err(|error| match error.is_io() {
        true => too_long(),
        false => unserializable(error),
    })?;
    Ok(text.into_string())
}

/// One line, with a space after each comma and colon.
struct SpacedFormatter;

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

/// The filter `tojson`: JSON that is also safe inside HTML.
pub(crate) fn tojson(
    value: &Value,
    indent: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get("indent")?,
    };
    options.assert_all_used()?;
    let width = match indent {
        None => None,
        Some(width) => match bool::try_from(width.clone()) {
            Ok(true) => Some(2),
            Ok(false) => None,
            Err(_) => Some(usize::try_from(width)?),
        },
    };
    let json = match width {
        None => json_text(value, SpacedFormatter)?,
        Some(width) => indented_json(value, width)?,
    };
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\'' => safe.push_str("\\u0027"),
            other => safe.push(other),
        }
    }
    Ok(Value::from_safe_string(safe))
}

/// The filter `pprint`: a value for people who look for a mistake.
pub(crate) fn pprint(value: &Value) -> Result<String, Error> {
    let mut text = BoundedText::default();
    fmt::write(&mut text, format_args!("{value:#?}")).map_err(|_| too_long())?;
    Ok(text.into_string())
}

fn too_long() -> Error {
    let message = format!("a value is longer than {OUTPUT_BYTES_MAX} bytes when it is written");
    Error::new(ErrorKind::InvalidOperation, message)
}

fn unserializable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, error.to_string())
}
