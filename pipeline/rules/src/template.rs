//! Strings with `{{ path }}` in them.

use crate::facts::Facts;
use crate::fault::Fault;
use crate::json;
use crate::path::{Known, Path};
use crate::problems::quoted;

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
        match <[Part; 1]>::try_from(parts) {
            Ok([Part::Path(path)]) => Ok(Self::Value(path)),
            Ok(other) => Ok(Self::Text(other.into())),
            Err(parts) => Ok(Self::Text(parts.into())),
        }
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
