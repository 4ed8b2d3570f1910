//! Strings with `{{ path }}` in them.

use compact_str::CompactString;

use crate::facts::Facts;
use crate::fault::Fault;
use crate::json;
use crate::path::{Known, Path};
use crate::problems::quoted;

/// The longest text a template makes where it names something, in bytes; what is longer is cut.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A string of a rule, read at load.
#[derive(Debug)]
pub(crate) enum Template {
    Plain(Box<str>),
    /// Exactly one path: stands for the value itself.
    Value(Path),
    Text(Box<[Part]>),
}

#[derive(Debug)]
pub(crate) enum Part {
    Plain(Box<str>),
    Path(Path),
}

impl Template {
    /// `zone` is the rule's.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str, known: &mut Known, zone: u32) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((path, tail)) = after.split_once("}}") else {
                return Err(format!("`{{{{` is not closed in {}", quoted(text)));
            };
            if !before.is_empty() {
                parts.push(Part::Plain(before.into()));
            }
            parts.push(Part::Path(known.path(path.trim(), zone)?));
            rest = tail;
        }
        if parts.is_empty() {
            return Ok(Self::Plain(text.into()));
        }
        if !rest.is_empty() {
            parts.push(Part::Plain(rest.into()));
        }
        Ok(Self::of(parts))
    }

    pub(crate) fn of(parts: Vec<Part>) -> Self {
        match <[Part; 1]>::try_from(parts) {
            Ok([Part::Plain(text)]) => Self::Plain(text),
            Ok([Part::Path(path)]) => Self::Value(path),
            Err(parts) => Self::Text(parts.into()),
        }
    }

    /// As text, cut at [`TEXT_BYTES_MAX`]. What is absent or null adds nothing.
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
                        Part::Plain(plain) => text.extend_from_slice(plain.as_bytes()),
                        Part::Path(inner) => path(inner, &mut text),
                    }
                }
            }
        }
        CompactString::from_utf8_lossy(&text)
    }

    /// Appends it as JSON. Takes what it brings in from `room`.
    pub(crate) fn write(
        &self,
        facts: &mut Facts<'_>,
        room: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match self {
            Self::Plain(text) => json::write_text(text.as_bytes(), out),
            Self::Value(path) => {
                let before = out.len();
                facts.write_json(path, out);
                take(room, out.len() - before)?;
            }
            Self::Text(parts) => {
                let mut text = Vec::new();
                for part in parts {
                    let before = text.len();
                    match part {
                        Part::Plain(plain) => text.extend_from_slice(plain.as_bytes()),
                        Part::Path(path) => {
                            facts.write_text(path, &mut text);
                        }
                    }
                    take(room, text.len() - before)?;
                }
                json::write_text(&text, out);
            }
        }
        Ok(())
    }
}

fn take(room: &mut usize, bytes: usize) -> Result<(), Fault> {
    *room = room.checked_sub(bytes).ok_or(Fault::TooLong)?;
    Ok(())
}
