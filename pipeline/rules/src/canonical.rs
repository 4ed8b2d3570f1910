//! The text of a value in group keys and fingerprints: the same for equal values, however they are written.

use crate::facts::Facts;
use crate::path::FactPath;
use crate::value::FactValue;

/// Appends the value at a path: a string as it is, a number or a boolean as in JSON, a list or an object as compact
/// JSON with sorted keys. False if there is none, or null.
pub(crate) fn write_text(path: &FactPath, facts: &mut Facts<'_>, out: &mut Vec<u8>) -> bool {
    match facts.read(path) {
        FactValue::Nothing => return false,
        FactValue::Text(text) => out.extend_from_slice(text),
        value => value.write_with(|number, out| number.write_plain(out), out),
    }
    true
}

/// How a value is named among the values that a group has in common: a label by its own name, another field by its path.
pub(crate) fn label_name(path: &FactPath) -> &str {
    let name = name(path);
    name.strip_prefix("metadata.").unwrap_or(name)
}

/// The path without `action.`, as group keys and fingerprints name it.
pub(crate) fn name(path: &FactPath) -> &str {
    path.text().strip_prefix("action.").unwrap_or(path.text())
}
