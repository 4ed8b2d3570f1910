//! From the text of a string to a [`Template`].

use super::{Template, TemplatePart};
use crate::path::PathTable;
use crate::problems::quoted;

impl Template {
    /// Reads the string; `zone` is the rule's time zone.
    ///
    /// # Errors
    /// If a brace is not closed, or a path is wrong.
    pub(crate) fn read(text: &str, paths: &mut PathTable, zone: u32) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((path, tail)) = after.split_once("}}") else {
                return Err(format!("`{{{{` is not closed in {}", quoted(text)));
            };
            if !before.is_empty() {
                parts.push(TemplatePart::Plain(before.into()));
            }
            parts.push(TemplatePart::Path(paths.path(path.trim(), zone)?));
            rest = tail;
        }
        if parts.is_empty() {
            return Ok(Self::Plain(text.into()));
        }
        if !rest.is_empty() {
            parts.push(TemplatePart::Plain(rest.into()));
        }
        Ok(Self::of(parts))
    }
}
