//! Strings with `{{ path }}` in them. `template/read.rs` reads them from a rule file.

mod read;

use compact_str::CompactString;

use crate::facts::Facts;
use crate::fault::{Fault, TEXT_BYTES_MAX};
use crate::json;
use crate::path::FactPath;

/// A string of a rule, parsed when the rules are loaded.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Template {
    Plain(Box<str>),
    /// Exactly one path: yields the value with its type.
    Value(FactPath),
    Text(Box<[TemplatePart]>),
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum TemplatePart {
    Plain(Box<str>),
    Path(FactPath),
}

impl Template {
    pub(crate) fn of(parts: Vec<TemplatePart>) -> Self {
        match <[TemplatePart; 1]>::try_from(parts) {
            Ok([TemplatePart::Plain(text)]) => Self::Plain(text),
            Ok([TemplatePart::Path(path)]) => Self::Value(path),
            Err(parts) => Self::Text(parts.into()),
        }
    }

    /// The text, cut at [`TEXT_BYTES_MAX`]. Absent and null values add nothing.
    pub(crate) fn to_text(&self, facts: &mut Facts<'_>) -> CompactString {
        let mut text = Vec::new();
        let mut path = |path, text: &mut Vec<u8>| {
            facts.write_text(path, text);
            text.truncate(TEXT_BYTES_MAX);
        };
        match self {
            Self::Plain(plain) => return CompactString::from(plain.as_ref()),
            Self::Value(only) => path(only, &mut text),
            Self::Text(parts) => {
                for part in parts {
                    match part {
                        TemplatePart::Plain(plain) => text.extend_from_slice(plain.as_bytes()),
                        TemplatePart::Path(inner) => path(inner, &mut text),
                    }
                }
            }
        }
        CompactString::from_utf8_lossy(&text)
    }

    /// Appends the value as JSON and subtracts the bytes it adds from `bytes_left`.
    ///
    /// # Errors
    /// If it adds more than that.
    pub(crate) fn write(
        &self,
        facts: &mut Facts<'_>,
        bytes_left: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match self {
            Self::Plain(text) => json::write_text(text.as_bytes(), out),
            Self::Value(path) => {
                let before = out.len();
                facts.write_json(path, out);
                subtract(bytes_left, out.len() - before)?;
            }
            Self::Text(parts) => {
                let mut text = Vec::new();
                for part in parts {
                    let before = text.len();
                    match part {
                        TemplatePart::Plain(plain) => text.extend_from_slice(plain.as_bytes()),
                        TemplatePart::Path(path) => {
                            facts.write_text(path, &mut text);
                        }
                    }
                    subtract(bytes_left, text.len() - before)?;
                }
                json::write_text(&text, out);
            }
        }
        Ok(())
    }
}

fn subtract(bytes_left: &mut usize, bytes: usize) -> Result<(), Fault> {
    *bytes_left = bytes_left.checked_sub(bytes).ok_or(Fault::TooLong)?;
    Ok(())
}
