//! Removes from a payload the fields that only the provider may see.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;

use crate::action::{Labels, Payload};
use crate::decode::reader::{JsonReader, Malformed};

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

    /// The payload without the configured fields; everything else keeps its text. Shares the bytes if nothing is hidden.
    pub fn payload(&self, payload: &Payload) -> Payload {
        if self.is_idle() {
            return payload.clone();
        }
        let text = std::str::from_utf8(payload.as_bytes()).ok();
        match text.and_then(|text| self.rewritten(text, Root::Payload)) {
            Some(Cow::Borrowed(_)) => payload.clone(),
            Some(Cow::Owned(text)) => Payload::from_parsed(text.into(), None),
            None => Payload::null(),
        }
    }

    /// The labels without the values that a group has read from configured fields of a payload.
    pub fn labels(&self, labels: &Labels) -> Labels {
        let hidden = labels.iter().filter(|(name, _)| self.hides_label(name));
        labels.with(hidden.map(|(name, _)| (name, &*self.placeholder)))
    }

    /// The values of the configured fields in `payload`. A provider may repeat them anywhere in its answer.
    pub fn hidden_values(&self, payload: &Payload) -> HiddenValues {
        let mut texts = Vec::new();
        if !self.is_idle()
            && let Ok(text) = std::str::from_utf8(payload.as_bytes())
        {
            for place in self.places(text, Root::Payload).unwrap_or_default() {
                let value = serde_json::from_str(&text[place]).unwrap_or_default();
                collect_texts(&value, &mut texts);
            }
        }
        HiddenValues::new(texts, &self.placeholder)
    }

    /// At most `bytes_max` bytes of a provider's answer, without the configured fields and the `hidden` values. `None`
    /// if fields are configured and the answer is not JSON, because they could not be found in it.
    pub fn excerpt(
        &self,
        body: &[u8],
        hidden: &HiddenValues,
        bytes_max: usize,
    ) -> Option<CompactString> {
        let shown = if self.is_idle() {
            let beginning = &body[..body.len().min(2 * bytes_max)];
            String::from_utf8_lossy(beginning)
        } else {
            let shown = self.rewritten(std::str::from_utf8(body).ok()?, Root::Payload)?;
            hidden.removed_from_json(shown)
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

    /// A message without the configured fields. Paths count from the payload, and from the root as well: a message that
    /// is not an action may be a payload as a whole. `None` if it is not JSON.
    pub fn message<'t>(&self, message: &'t str) -> Option<Cow<'t, str>> {
        self.rewritten(message, Root::Message)
    }

    /// The text with the placeholder for each hidden value. Numbers and keys stay as they are written, and of a
    /// duplicate key all values are hidden.
    fn rewritten<'t>(&self, text: &'t str, root: Root) -> Option<Cow<'t, str>> {
        let hidden = self.places(text, root)?;
        if hidden.is_empty() {
            return Some(Cow::Borrowed(text));
        }
        let placeholder = serde_json::to_string(&*self.placeholder).ok()?;
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for value in hidden {
            out.push_str(&text[copied..value.start]);
            out.push_str(&placeholder);
            copied = value.end;
        }
        out.push_str(&text[copied..]);
        Some(Cow::Owned(out))
    }

    /// Where the hidden values are. `None` if the text is not JSON.
    fn places(&self, text: &str, root: Root) -> Option<Vec<Range<usize>>> {
        let mut hidden = Vec::new();
        let mut reader = JsonReader::new(text, DEPTH_MAX);
        let mut path = FieldPath {
            text: String::new(),
            root,
        };
        self.find(&mut reader, &mut path, &mut hidden).ok()?;
        reader.end().ok()?;
        Some(hidden)
    }

    /// Lists where the hidden values are, in the order of the text.
    fn find(
        &self,
        reader: &mut JsonReader<'_>,
        path: &mut FieldPath,
        hidden: &mut Vec<Range<usize>>,
    ) -> Result<(), Malformed> {
        if reader.is_at_list() {
            return reader.list(|reader| self.find(reader, path, hidden));
        }
        if !reader.is_at_object() {
            return reader.value().map(drop);
        }
        reader.object(|reader, key| {
            let name = key.to_lowercase();
            let parent = path.enter(&name);
            if self.hides(&name, path) {
                let start = reader.next_start();
                reader.value()?;
                hidden.push(start..reader.place());
            } else {
                self.find(reader, path, hidden)?;
            }
            path.text.truncate(parent);
            Ok(())
        })
    }

    fn hides(&self, name: &str, path: &FieldPath) -> bool {
        let is_path = |path: &str| self.paths.iter().any(|known| known == path);
        self.hides_name(name)
            || is_path(&path.text)
            || path.in_payload().is_some_and(is_path)
            || path.in_member().is_some_and(is_path)
            || self.hides_label(name)
    }

    fn hides_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// True for a label that is named after the path of a configured field, as the labels of groups are.
    fn hides_label(&self, label: &str) -> bool {
        let label = label.to_lowercase();
        let Some(path) = label.strip_prefix("payload.") else {
            return false;
        };
        let name = path.rsplit('.').next().unwrap_or(path);
        self.hides_name(name) || self.paths.iter().any(|known| known == path)
    }
}

/// Deeper JSON counts as unreadable.
const DEPTH_MAX: usize = 128;

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Payload,
    Message,
}

/// The lower-case keys from the root, joined by dots.
struct FieldPath {
    text: String,
    root: Root,
}

impl FieldPath {
    /// Appends a key. Returns the length before.
    fn enter(&mut self, name: &str) -> usize {
        let parent = self.text.len();
        if parent > 0 {
            self.text.push('.');
        }
        self.text.push_str(name);
        parent
    }

    /// The path from a message's payload.
    fn in_payload(&self) -> Option<&str> {
        let path = self.text.strip_prefix("payload.");
        path.filter(|_| self.root == Root::Message)
    }

    /// The path from the payload of a member, if this is the summary of a group, which lists them as `events`.
    fn in_member(&self) -> Option<&str> {
        let path = self.in_payload().unwrap_or(&self.text);
        path.strip_prefix("events.")
    }
}

/// Shorter texts would match everywhere.
const HIDDEN_CHARS_MIN: usize = 4;

/// Texts to remove from the answer of a provider: the values of the configured fields of one payload.
#[derive(Clone, Debug, Default)]
pub struct HiddenValues {
    /// Each value as it is, as JSON escapes it, and as JSON inside a JSON string escapes it; the longest first.
    texts: Vec<String>,
    placeholder: Arc<str>,
}

impl HiddenValues {
    fn new(values: Vec<String>, placeholder: &Arc<str>) -> Self {
        let mut texts = Vec::new();
        for value in values {
            let once = escaped(&value);
            texts.extend([escaped(&once), once, value]);
        }
        // A text that contains another is removed first.
        texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        Self {
            texts,
            placeholder: placeholder.clone(),
        }
    }

    /// True if there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// JSON without the values. Their characters may be escaped in it in several ways, so it is written again.
    fn removed_from_json<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        if self.is_empty() {
            return text;
        }
        let written = serde_json::from_str::<Value>(&text).map(|value| value.to_string());
        let text = written.unwrap_or_else(|_| text.into_owned());
        Cow::Owned(self.removed_from(text))
    }

    /// `text` with the placeholder in place of each value.
    pub fn removed_from(&self, text: String) -> String {
        self.texts
            .iter()
            .fold(text, |text, hidden| match text.contains(hidden.as_str()) {
                true => text.replace(hidden.as_str(), &self.placeholder),
                false => text,
            })
    }
}

/// Collects the strings in a value that are long enough to be recognized.
fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().count() >= HIDDEN_CHARS_MIN => {
            texts.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => fields.values().for_each(|item| collect_texts(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `text` as JSON writes it between quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_matches_at_any_depth_and_a_path_only_from_the_root() {
        let redactor = Redactor::new(["Token".into(), "card.number".into()], "***");
        let message = json!({
            "a": [{"TOKEN": {"x": 1}, "kept": 1}],
            "card": [{"Number": 42}],
            "b": {"card": {"number": 7}},
            "payload": {"card": {"number": 7}},
        });
        let mut expected = json!({
            "a": [{"TOKEN": "***", "kept": 1}],
            "card": [{"Number": "***"}],
            "b": {"card": {"number": 7}},
            "payload": {"card": {"number": 7}},
        });
        let payload = redactor.payload(&Payload::from_value(&message).unwrap());
        assert_eq!(payload.parse::<Value>().unwrap(), expected);
        expected["payload"]["card"]["number"] = json!("***");
        let message = message.to_string();
        assert_eq!(redactor.message(&message).unwrap(), expected.to_string());
    }

    #[test]
    fn what_a_summary_repeats_of_its_members_is_hidden() {
        let redactor = Redactor::new(["token".into(), "card.number".into()], "***");
        let summary = json!({
            "events": [{"card": {"number": 42}}, {"token": 1}],
            "labels": {"payload.card.number": "42", "payload.a.Token": "x", "payload.kept": "y"},
        });
        let expected = json!({
            "events": [{"card": {"number": "***"}}, {"token": "***"}],
            "labels": {"payload.card.number": "***", "payload.a.Token": "***", "payload.kept": "y"},
        });
        let payload = redactor.payload(&Payload::from_value(&summary).unwrap());
        assert_eq!(payload.parse::<Value>().unwrap(), expected);
        let message = json!({"payload": summary}).to_string();
        let shown: Value = serde_json::from_str(&redactor.message(&message).unwrap()).unwrap();
        assert_eq!(shown["payload"], expected);
        let labels = Labels::from_iter([("payload.token", "x"), ("token", "label")]);
        let shown = redactor.labels(&labels);
        assert_eq!(shown.get("payload.token"), Some("***"));
        assert_eq!(shown.get("token"), Some("label"));
    }

    #[test]
    fn everything_else_keeps_its_text() {
        let redactor = Redactor::new(["token".into(), "card.number".into()], "a \"b\"");
        let rows = [
            (r#"{"amount":5,"x":1e400}"#, None),
            (
                r#"{"a":{"$serde_json::private::RawValue":"{\"q\":1}"}}"#,
                None,
            ),
            (r#"{"$serde_json::private::Number":"1e5"}"#, None),
            (r#"{ "id": 99999999999999999999999, "y": 1.10 }"#, None),
            (
                r#"{"x":1e400, "token" : [1, {"a":2}] ,"y":99999999999999999999}"#,
                Some(r#"{"x":1e400, "token" : "a \"b\"" ,"y":99999999999999999999}"#),
            ),
            (
                r#"{"token":1,"t\u006fken":2,"card":{"number":3},"card":{"number":4},"k":5,"k":6}"#,
                Some(
                    r#"{"token":"a \"b\"","t\u006fken":"a \"b\"","card":{"number":"a \"b\""},"card":{"number":"a \"b\""},"k":5,"k":6}"#,
                ),
            ),
        ];
        for (text, expected) in rows {
            let payload = Payload::from_parsed(text.into(), None);
            let shown = redactor.payload(&payload);
            assert_eq!(shown.as_bytes(), expected.unwrap_or(text), "{text}");
        }
    }

    #[test]
    fn an_excerpt_shows_no_configured_field_and_ends_at_a_whole_character() {
        let redactor = Redactor::new(["token".into()], "***");
        let body = br#"{"token":"t0p","error":"no"}"#;
        let none = HiddenValues::default();
        let shown = redactor.excerpt(body, &none, 100).unwrap();
        assert_eq!(shown, r#"{"token":"***","error":"no"}"#);
        assert_eq!(redactor.excerpt(b"token=t0p", &none, 100), None, "not JSON");
        let shown = Redactor::default().excerpt("a\n\u{e9}\u{e9}".as_bytes(), &none, 5);
        assert_eq!(shown.unwrap(), "a \u{e9}");
    }

    #[test]
    fn the_values_of_configured_fields_are_removed_wherever_an_answer_repeats_them() {
        let redactor = Redactor::new(["password".into(), "card.keys".into()], "***");
        let payload = Payload::from_value(&json!({
            "password": "HUN\"TER2",
            "card": {"keys": ["key-one", {"x": "key-one-two"}, "abc", 12345]},
            "shown": "visible",
        }));
        let payload = payload.unwrap();
        let hidden = redactor.hidden_values(&payload);
        let request = String::from_utf8(payload.as_bytes().to_vec()).unwrap();
        let body = json!({
            "error": "invalid password HUN\"TER2 of key-one-two, key-one, abc, visible",
            "request": request,
        });
        let shown = redactor.excerpt(body.to_string().as_bytes(), &hidden, 500);
        let shown = shown.unwrap();
        assert!(
            !shown.contains("TER2") && !shown.contains("key-one"),
            "{shown}"
        );
        let error = "invalid password *** of ***, ***, abc, visible";
        assert!(shown.contains(error), "{shown}");
        let message = "refused HUN\"TER2".to_owned();
        assert_eq!(hidden.removed_from(message), "refused ***");
        assert!(Redactor::default().hidden_values(&payload).is_empty());
    }

    #[test]
    fn a_hidden_value_at_the_end_of_an_excerpt_is_not_cut_before_it_is_removed() {
        let redactor = Redactor::new(["password".into()], "***");
        let payload = Payload::from_value(&json!({"password": "HUNTER2"})).unwrap();
        let body = br#"["wrong: HUNTER2"]"#;
        let hidden = redactor.hidden_values(&payload);
        let shown = redactor.excerpt(body, &hidden, 12).unwrap();
        assert_eq!(shown, r#"["wrong: ***"#);
    }

    #[test]
    fn without_fields_the_bytes_are_shared() {
        let payload = Payload::from_value(&json!({"token": 1})).unwrap();
        let same = Redactor::default().payload(&payload);
        assert_eq!(same.as_bytes().as_ptr(), payload.as_bytes().as_ptr());
    }
}
