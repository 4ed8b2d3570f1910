//! Removes from a payload the fields that only the provider may see.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;

use crate::action::Payload;

/// Replaces configured fields. Cloning shares the list. Without fields, values pass through unchanged.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    names: Arc<[String]>,
    paths: Arc<[String]>,
    placeholder: Arc<str>,
}

impl Redactor {
    /// A name without dots matches a key at any depth. A name with dots matches a full path from the root, without
    /// array positions. Matching ignores case. `placeholder` replaces the whole value.
    pub fn new(fields: impl IntoIterator<Item = String>, placeholder: &str) -> Self {
        let (paths, names): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .map(|field| field.to_lowercase())
            .partition(|f| f.contains('.'));
        Self {
            names: names.into(),
            paths: paths.into(),
            placeholder: placeholder.into(),
        }
    }

    /// True if no fields are configured.
    pub fn is_idle(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    /// The payload without the configured fields. Shares the bytes if none are configured.
    pub fn payload(&self, payload: &Payload) -> Payload {
        if self.is_idle() {
            return payload.clone();
        }
        let Ok(mut value) = payload.parse::<Value>() else {
            return Payload::null();
        };
        self.value(&mut value);
        Payload::from_value(&value).unwrap_or_else(|_| Payload::null())
    }

    /// At most `bytes_max` bytes of a provider's answer, without the configured fields. `None` if fields are configured
    /// and the answer is not JSON, because they could not be found in it.
    pub fn excerpt(&self, body: &[u8], bytes_max: usize) -> Option<CompactString> {
        let shown = if self.is_idle() {
            let beginning = &body[..body.len().min(2 * bytes_max)];
            String::from_utf8_lossy(beginning).into_owned()
        } else {
            let mut value = serde_json::from_slice(body).ok()?;
            self.value(&mut value);
            value.to_string()
        };
        let mut excerpt = CompactString::default();
        for sign in shown.chars() {
            if excerpt.len() + sign.len_utf8() > bytes_max {
                break;
            }
            excerpt.push(if sign.is_control() { ' ' } else { sign });
        }
        (!excerpt.is_empty()).then_some(excerpt)
    }

    /// Replaces the configured fields in place.
    pub fn value(&self, value: &mut Value) {
        if !self.is_idle() {
            self.visit(value, &mut String::new());
        }
    }

    fn visit(&self, value: &mut Value, path: &mut String) {
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    let parent = path.len();
                    let name = key.to_lowercase();
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&name);
                    if self.names.contains(&name) || self.paths.contains(path) {
                        *inner = Value::String(self.placeholder.to_string());
                    } else {
                        self.visit(inner, path);
                    }
                    path.truncate(parent);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit(item, path)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_matches_at_any_depth_and_a_path_only_from_the_root() {
        let redactor = Redactor::new(["Token".into(), "card.number".into()], "***");
        let mut value = json!({
            "a": [{"TOKEN": {"x": 1}, "kept": 1}],
            "card": [{"Number": 42}],
            "b": {"card": {"number": 7}},
        });
        redactor.value(&mut value);
        let expected = json!({
            "a": [{"TOKEN": "***", "kept": 1}],
            "card": [{"Number": "***"}],
            "b": {"card": {"number": 7}},
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn an_excerpt_shows_no_configured_field_and_ends_at_a_whole_character() {
        let redactor = Redactor::new(["token".into()], "***");
        let body = br#"{"token":"t0p","error":"no"}"#;
        let shown = redactor.excerpt(body, 100).unwrap();
        assert_eq!(shown, r#"{"token":"***","error":"no"}"#);
        assert_eq!(redactor.excerpt(b"token=t0p", 100), None, "not JSON");
        let shown = Redactor::default().excerpt("a\n\u{e9}\u{e9}".as_bytes(), 5);
        assert_eq!(shown.unwrap(), "a \u{e9}");
    }

    #[test]
    fn without_fields_the_bytes_are_shared() {
        let payload = Payload::from_value(&json!({"token": 1})).unwrap();
        let same = Redactor::default().payload(&payload);
        assert_eq!(same.as_bytes().as_ptr(), payload.as_bytes().as_ptr());
    }
}
