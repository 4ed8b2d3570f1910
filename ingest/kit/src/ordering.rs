//! `ordering_key`: paths into an action whose values form its ordering key if its message has no key.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use acteon_core::Action;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use thiserror::Error;

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

/// The paths that form the ordering key of an action.
#[derive(Clone, Debug, Default)]
pub struct OrderingKey(Vec<Path>);

#[derive(Clone, Debug)]
enum Path {
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

impl OrderingKey {
    /// Parses paths such as `payload.customer`, `metadata.region` or `action.tenant`, written as in rules.
    ///
    /// # Errors
    /// The first invalid path.
    pub fn of<S: AsRef<str>>(paths: &[S]) -> Result<Self, PathError> {
        let paths = paths.iter().map(|path| Path::parse(path.as_ref()));
        paths.collect::<Result<_, _>>().map(Self)
    }

    /// The hash of the values at the paths; `None` if no path has a value.
    pub fn hash(&self, action: &Action, hasher: &impl BuildHasher) -> Option<u64> {
        let mut state = hasher.build_hasher();
        let mut is_there = false;
        for path in &self.0 {
            is_there |= path.hash(action, &mut state);
        }
        is_there.then(|| state.finish())
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, PathError> {
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
            (PAYLOAD, _, rest) => Ok(Self::Payload(rest.to_vec())),
            (METADATA, _, [label]) => Ok(Self::Label(label.key.clone())),
            (METADATA, _, [_, _, ..]) | (_, Some(_), [_, ..]) => {
                Err(PathError::TooDeep { path: path() })
            }
            (_, Some((_, read)), []) => Ok(Self::Field(*read)),
            (_, None, _) => Err(PathError::Unknown { path: path() }),
        }
    }

    /// Hashes the value at the path. True if there is one.
    fn hash(&self, action: &Action, state: &mut impl Hasher) -> bool {
        match self {
            Self::Field(read) => hash_text(read(action), state),
            Self::Label(key) => hash_text(action.labels.get(key), state),
            Self::Payload(segments) => {
                let mut json = serde_json::Deserializer::from_slice(action.payload.as_bytes());
                let found = At(segments).deserialize(&mut json).ok().flatten();
                hash_text(found.map(|value| value.to_string()).as_deref(), state)
            }
        }
    }
}

fn hash_text(text: Option<&str>, state: &mut impl Hasher) -> bool {
    text.hash(state);
    text.is_some()
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
    use std::hash::RandomState;

    use acteon_testkit::action;
    use serde_json::json;

    use super::*;

    fn key(paths: &[&str]) -> OrderingKey {
        OrderingKey::of(paths).unwrap()
    }

    fn with(payload: &Value) -> Action {
        let mut action = action("a").envelope().action;
        action.payload = acteon_core::Payload::from_value(payload).unwrap();
        action
    }

    #[test]
    fn actions_with_equal_values_at_the_paths_have_one_key_and_others_have_another() {
        let hasher = RandomState::new();
        let key = key(&["payload.customer.id", "action.metadata.region"]);
        let hash = |customer: Value, region: &str| {
            let mut action = with(&json!({"at": [1], "customer": {"id": customer}}));
            action.labels.insert("region", region);
            key.hash(&action, &hasher).unwrap()
        };
        assert_eq!(hash(json!("a"), "eu"), hash(json!("a"), "eu"));
        assert_ne!(hash(json!("a"), "eu"), hash(json!("b"), "eu"));
        assert_ne!(hash(json!("a"), "eu"), hash(json!("a"), "us"));
        assert_ne!(hash(json!("1"), "eu"), hash(json!(1), "eu"));
    }

    #[test]
    fn an_action_with_nothing_at_the_paths_has_no_key() {
        let hasher = RandomState::new();
        let payloads = [
            json!(null),
            json!({"a": null}),
            json!("a"),
            json!([{"a": 1}]),
        ];
        for payload in payloads {
            let action = with(&payload);
            let found = key(&["payload.a", "metadata.none", "dedup_key"]).hash(&action, &hasher);
            assert_eq!(found, None, "{payload}");
        }
    }

    #[test]
    fn paths_lead_into_lists_and_to_quoted_names_and_fields() {
        let hasher = RandomState::new();
        let action = with(&json!({"items": [{"a.b": 1}, {"a.b": 2}], "7": true}));
        for path in [
            "payload.items.1.\"a.b\"",
            "payload.7",
            "payload",
            "tenant",
            "action.id",
        ] {
            assert!(key(&[path]).hash(&action, &hasher).is_some(), "{path}");
        }
        assert!(key(&["payload.items.2"]).hash(&action, &hasher).is_none());
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        let error = |path: &str| OrderingKey::of(&[path]).unwrap_err();
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
