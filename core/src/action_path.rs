//! Paths into an action, such as `payload.customer` or `metadata.region`, written as in rules.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use thiserror::Error;

use crate::action::Action;

/// The maximum length of a path, in bytes.
const LENGTH_MAX: usize = 1024;
const PAYLOAD: &str = "payload";
const METADATA: &str = "metadata";
/// Reads a field.
type Field = fn(&Action) -> Option<&str>;

const FIELDS: [(&str, Field); 8] = [
    ("id", |action| Some(&action.id)),
    ("namespace", |action| Some(&action.namespace)),
    ("tenant", |action| Some(&action.tenant)),
    ("provider", |action| Some(&action.provider)),
    ("action_type", |action| Some(&action.action_type)),
    ("dedup_key", |action| action.dedup_key.as_deref()),
    ("status", |action| action.status.as_deref()),
    ("fingerprint", |action| action.fingerprint.as_deref()),
];

/// Why a path is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PathError {
    #[error("`{path}` is not a path: a name is missing, or a quote is not closed")]
    Malformed { path: String },
    #[error("`{path}` is longer than {LENGTH_MAX} bytes")]
    TooLong { path: String },
    #[error(
        "`{path}` does not begin with `payload`, `metadata` and a label, or one of {}",
        fields()
    )]
    Unknown { path: String },
    #[error(
        "`{path}` leads into a string, which has no fields; quote a name with dots, as in `metadata.\"a.b\"`"
    )]
    TooDeep { path: String },
}

fn fields() -> String {
    FIELDS.map(|(name, _)| format!("`{name}`")).join(", ")
}

/// A path into an action.
#[derive(Clone, Debug)]
pub struct ActionPath(Place);

#[derive(Clone, Debug)]
enum Place {
    Field(Field),
    Label(String),
    Payload(Vec<Segment>),
}

/// One step into an object or, if it is a number, into an object or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    key: String,
    index: Option<usize>,
}

impl ActionPath {
    /// Parses a path such as `payload.customer`, `metadata.region` or `action.tenant`.
    ///
    /// # Errors
    /// If it leads nowhere.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = || text.to_owned();
        if text.len() > LENGTH_MAX {
            return Err(PathError::TooLong { path: path() });
        }
        let segments = split(text).ok_or_else(|| PathError::Malformed { path: path() })?;
        let rest = match segments.split_first() {
            Some((head, rest)) if head.key == "action" && head.index.is_none() => rest,
            _ => &segments[..],
        };
        let Some((head, rest)) = rest.split_first() else {
            return Err(PathError::Unknown { path: path() });
        };
        let field = FIELDS.iter().find(|(name, _)| *name == head.key);
        match (head.key.as_str(), field, rest) {
            (PAYLOAD, _, rest) => Ok(Self(Place::Payload(rest.to_vec()))),
            (METADATA, _, [label]) => Ok(Self(Place::Label(label.key.clone()))),
            (METADATA, _, [_, _, ..]) | (_, Some(_), [_, ..]) => {
                Err(PathError::TooDeep { path: path() })
            }
            (_, Some((_, read)), []) => Ok(Self(Place::Field(*read))),
            (_, None, _) => Err(PathError::Unknown { path: path() }),
        }
    }

    /// The value at the path. `null` counts as absent.
    pub fn find<'a>(&self, action: &'a Action) -> Option<Found<'a>> {
        match &self.0 {
            Place::Field(read) => read(action).map(Found::Text),
            Place::Label(key) => action.labels.get(key).map(Found::Text),
            Place::Payload(segments) => {
                let mut json = serde_json::Deserializer::from_slice(action.payload.as_bytes());
                let found = At(segments).deserialize(&mut json).ok().flatten();
                found.map(Found::Json)
            }
        }
    }
}

/// A value found at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// The text of a field or a label.
    Text(&'a str),
    /// A value of the payload.
    Json(Value),
}

impl<'a> Found<'a> {
    /// The value as text: a string is its own text, any other value is its JSON.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Json(Value::String(text)) => text.into(),
            Self::Json(value) => value.to_string().into(),
        }
    }

    /// The value such that different values have different texts, also a number and the string of its digits.
    pub fn into_distinct_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Json(value) => value.to_string().into(),
        }
    }
}

/// Splits at dots. Inside double quotes a dot is literal, and a backslash escapes a quote or a backslash.
fn split(text: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut rest = text.trim();
    loop {
        let (segment, tail) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner)?,
            None => plain(rest)?,
        };
        segments.push(segment);
        match tail.strip_prefix('.') {
            Some(next) => rest = next,
            None => return tail.is_empty().then_some(segments),
        }
    }
}

fn plain(rest: &str) -> Option<(Segment, &str)> {
    let (key, tail) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    let is_stray = |sign: char| matches!(sign, '"' | '[' | ']' | '{' | '}') || sign.is_control();
    if key.is_empty() || key.contains(is_stray) {
        return None;
    }
    let is_number = key.bytes().all(|byte| byte.is_ascii_digit());
    let index = is_number.then(|| key.parse().ok()).flatten();
    let key = key.to_owned();
    Some((Segment { key, index }, tail))
}

fn quoted(inner: &str) -> Option<(Segment, &str)> {
    let mut key = String::new();
    let mut signs = inner.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((Segment { key, index: None }, &inner[at + 1..])),
            '\\' => key.push(signs.next()?.1),
            other => key.push(other),
        }
    }
    None
}

/// Reads the value at the end of these steps. If a key appears twice in an object, the last entry wins. `null` counts
/// as absent.
#[derive(Clone, Copy)]
struct At<'p>(&'p [Segment]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<Value>, D::Error> {
        match self.0 {
            [] => {
                let value: Value = serde::Deserialize::deserialize(from)?;
                Ok(Some(value).filter(|value| !value.is_null()))
            }
            [..] => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match key == step.key.as_str() {
                true => found = map.next_value_seed(At(rest))?,
                false => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Value>, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        let mut found = None;
        let mut at = 0;
        loop {
            let element = match step.index == Some(at) {
                true => list.next_element_seed(At(rest))?.map(|value| found = value),
                false => list.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            match element {
                Some(()) => at += 1,
                None => return Ok(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Payload;

    fn with(payload: &Value) -> Action {
        let json = br#"{"id":"a","namespace":"n","tenant":"t1","provider":"p","action_type":"x","payload":null,
            "metadata":{"region":"eu"}}"#;
        let draft = crate::decode::decode(&bytes::Bytes::from_static(json)).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut action = draft
            .complete(&Default::default(), || "made".into(), now)
            .unwrap();
        action.payload = Payload::from_value(payload).unwrap();
        action
    }

    fn text(path: &str, action: &Action) -> Option<String> {
        let found = ActionPath::parse(path).unwrap().find(action);
        found.map(|found| found.into_text().into_owned())
    }

    #[test]
    fn paths_lead_into_lists_and_to_quoted_names_labels_and_fields() {
        let action = with(&json!({"items": [{"a.b": 1}, {"a.b": "two"}], "7": true}));
        for (path, value) in [
            ("payload.items.1.\"a.b\"", "two"),
            ("payload.items.0", r#"{"a.b":1}"#),
            ("payload.7", "true"),
            ("tenant", "t1"),
            ("action.id", "a"),
            ("action.metadata.region", "eu"),
        ] {
            assert_eq!(text(path, &action).as_deref(), Some(value), "{path}");
        }
        assert_eq!(text("payload.items.2", &action), None);
    }

    #[test]
    fn a_path_to_nothing_finds_nothing() {
        for payload in [
            json!(null),
            json!({"a": null}),
            json!("a"),
            json!([{"a": 1}]),
        ] {
            let action = with(&payload);
            for path in ["payload.a", "metadata.none", "dedup_key"] {
                assert_eq!(text(path, &action), None, "{path} in {payload}");
            }
        }
    }

    #[test]
    fn the_distinct_text_tells_a_number_from_its_digits() {
        let distinct = |payload: &Value| {
            let found = ActionPath::parse("payload").unwrap();
            let action = with(payload);
            found
                .find(&action)
                .unwrap()
                .into_distinct_text()
                .into_owned()
        };
        assert_ne!(distinct(&json!("1")), distinct(&json!(1)));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        let error = |path: &str| ActionPath::parse(path).unwrap_err();
        let text = |path: &str| path.to_owned();
        for path in ["", "payload.", ".a", "payload.\"a", "payload.a[0]"] {
            assert_eq!(error(path), PathError::Malformed { path: text(path) });
        }
        for path in ["customer", "action", "metadata", "time.hour"] {
            assert_eq!(error(path), PathError::Unknown { path: text(path) });
        }
        for path in ["metadata.a.b", "tenant.a"] {
            assert_eq!(error(path), PathError::TooDeep { path: text(path) });
        }
    }
}
