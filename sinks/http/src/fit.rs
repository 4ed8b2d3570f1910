//! Cuts a JSON body that is longer than its service accepts, at its longest texts. A message that is cut arrives; one
//! that is refused does not.

use acteon_sinks_kit::cut;
use serde_json::Value;

/// Texts are not cut below this.
const CHARACTERS_MIN: usize = 64;
/// How often to cut. Each time halves a text at least, or is the last.
const CUTS_MAX: usize = 64;

/// `body` as JSON with at most `bytes_max` bytes. `None`: too little of it is text.
pub(crate) fn fitted(mut body: Value, bytes_max: usize) -> Option<Vec<u8>> {
    for _ in 0..CUTS_MAX {
        let json = serde_json::to_vec(&body).ok()?;
        let Some(over) = json.len().checked_sub(bytes_max).filter(|over| *over > 0) else {
            return Some(json);
        };
        let text = longest(&mut body)?;
        let characters = text.chars().count();
        // A character has up to six bytes in JSON, so this may be too little; then it is cut again.
        let keep = characters.saturating_sub(over).max(characters / 2);
        let keep = keep.max(CHARACTERS_MIN);
        if keep >= characters {
            return None;
        }
        *text = cut(text, keep, |_| 1).into_owned();
    }
    None
}

fn longest(body: &mut Value) -> Option<&mut String> {
    match body {
        Value::String(text) => Some(text),
        Value::Array(items) => longest_of(items.iter_mut()),
        Value::Object(members) => longest_of(members.values_mut()),
        _ => None,
    }
}

fn longest_of<'v>(values: impl Iterator<Item = &'v mut Value>) -> Option<&'v mut String> {
    values.filter_map(longest).max_by_key(|text| text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_that_fits_is_not_changed() {
        let body = json!({"text": "short", "n": 1});
        assert_eq!(fitted(body, 100).unwrap(), br#"{"text":"short","n":1}"#);
    }

    #[test]
    fn the_longest_texts_of_a_body_are_cut_until_it_fits() {
        let body = json!({"a": "x".repeat(5000), "b": ["ü".repeat(4000), "\u{1}".repeat(900)], "c": "kept"});
        let fitted = fitted(body, 2048).unwrap();
        assert!(fitted.len() <= 2048, "{}", fitted.len());
        let body: Value = serde_json::from_slice(&fitted).unwrap();
        assert!(body["a"].as_str().unwrap().ends_with(" characters cut]"));
        assert_eq!(body["c"], "kept");
    }

    #[test]
    fn a_body_with_too_little_text_does_not_fit() {
        let body = json!(vec![1; 2000]);
        assert_eq!(fitted(body, 1024), None);
    }
}
