//! What a producer asks for. `decode` reads it from bytes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use serde::de::{MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::time::Time;

/// One action: who asks, through which provider, what kind, and the payload.
///
/// Every name is 1 to 256 bytes without control characters. [`crate::decode`] enforces this.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The producer's id, or a generated one.
    pub id: CompactString,
    /// The first part of the isolation boundary.
    pub namespace: CompactString,
    /// The second part of the isolation boundary.
    pub tenant: CompactString,
    /// The configured name of the sink to use.
    pub provider: CompactString,
    /// What kind of action this is.
    pub action_type: CompactString,
    /// Any JSON, kept as received.
    pub payload: Payload,
    /// The labels; `metadata` on the wire.
    pub labels: Labels,
    /// The key for a dedup rule that defines none.
    pub dedup_key: Option<CompactString>,
    /// The state that an event asks to move to.
    pub status: Option<CompactString>,
    /// Overrides the computed fingerprint.
    pub fingerprint: Option<CompactString>,
    /// When the event began.
    pub starts_at: Option<Time>,
    /// When the event ended.
    pub ends_at: Option<Time>,
    /// When the producer created it, else when Acteon received it.
    pub created_at: Time,
    /// W3C `traceparent` and `tracestate`.
    pub trace_context: Labels,
}

/// Passes the fields of an action on the wire to a macro, in order: its name as a variant, its name, its type, and the
/// field of [`Action`]. Writing and both readers of `decode` follow from this table.
macro_rules! action_fields {
    ($then:ident) => {
        $then! {
            Id id: CompactString = id,
            Namespace namespace: CompactString = namespace,
            Tenant tenant: CompactString = tenant,
            Provider provider: CompactString = provider,
            ActionType action_type: CompactString = action_type,
            Payload payload: Payload = payload,
            Metadata metadata: Labels = labels,
            DedupKey dedup_key: CompactString = dedup_key,
            Status status: CompactString = status,
            Fingerprint fingerprint: CompactString = fingerprint,
            StartsAt starts_at: Time = starts_at,
            EndsAt ends_at: Time = ends_at,
            CreatedAt created_at: Time = created_at,
            TraceContext trace_context: Labels = trace_context,
        }
    };
}

pub(crate) use action_fields;

macro_rules! serialize_action {
    ($($variant:ident $name:ident: $type:ty = $field:ident,)+) => {
        impl Serialize for Action {
            /// The wire form of an action. Every field is present; absent ones are `null`.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // Does not compile if the table lacks a field.
                let Self { $($field),+ } = self;
                let count = [$(stringify!($name)),+].len();
                let mut out = serializer.serialize_struct("Action", count)?;
                $(out.serialize_field(stringify!($name), $field)?;)+
                out.end()
            }
        }
    };
}

action_fields!(serialize_action);

/// A JSON value, kept as the bytes received: well formed, UTF-8, at most [`Payload::DEPTH_MAX`] deep.
///
/// Cloning shares the bytes. `Debug` shows only the length, because payloads do not belong in logs.
#[derive(Clone)]
pub struct Payload {
    json: Bytes,
    /// Recorded when an object was read, only for speed.
    members: Option<Arc<[MemberSpan]>>,
}

/// The position of a member of an object in its text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemberSpan {
    /// Without its quotes.
    pub(crate) key: TextRange,
    pub(crate) value: TextRange,
}

/// A range of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextRange {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl TextRange {
    pub(crate) fn of<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        text.get(self.start as usize..self.end as usize)
    }
}

/// The members of a payload that is an object.
#[derive(Clone, Copy)]
pub struct Members<'a> {
    json: &'a [u8],
    members: &'a [MemberSpan],
}

impl<'a> Members<'a> {
    /// The JSON text of the value under `key`. The last value wins if the key appears twice.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        let mut members = self.members.iter().rev();
        let found = members.find(|member| member.key.of(self.json) == Some(key.as_bytes()));
        found?.value.of(self.json)
    }
}

impl Payload {
    /// The maximum nesting depth of lists and objects.
    pub const DEPTH_MAX: usize = 64;

    /// The JSON value `null`.
    pub fn null() -> Self {
        Self::from_parsed(Bytes::from_static(b"null"), None)
    }

    /// Takes bytes that a JSON parser has accepted, and the positions of the object's members if the parser recorded
    /// them.
    pub(crate) fn from_parsed(json: Bytes, members: Option<Arc<[MemberSpan]>>) -> Self {
        Self { json, members }
    }

    /// The members, if the payload is an object and they were recorded when it was read. Otherwise the caller must
    /// search.
    pub fn members(&self) -> Option<Members<'_>> {
        self.members.as_deref().map(|members| Members {
            json: &self.json,
            members,
        })
    }

    /// Writes `value` as compact JSON.
    ///
    /// # Errors
    /// If a map key of `value` is not a string.
    pub fn from_value<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(value).map(|json| Self::from_parsed(json.into(), None))
    }

    /// The same text inside `copy`, a copy of `text`. A payload that is not a slice of `text` stays unchanged.
    #[must_use]
    pub fn moved(self, text: &Bytes, copy: &Bytes) -> Self {
        let start = (self.json.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        let fits = |end: &usize| *end <= text.len() && *end <= copy.len();
        match start.checked_add(self.json.len()).filter(fits) {
            Some(end) => Self {
                json: copy.slice(start..end),
                members: self.members,
            },
            None => self,
        }
    }

    /// A copy in its own memory.
    #[must_use]
    pub fn copied(self) -> Self {
        Self {
            json: Bytes::copy_from_slice(&self.json),
            members: self.members,
        }
    }

    /// The JSON text as bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.json
    }

    /// The length of the JSON text in bytes.
    pub fn len(&self) -> usize {
        self.json.len()
    }

    /// Always false: the shortest JSON value has one byte.
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// Deserializes the whole payload.
    ///
    /// # Errors
    /// If the payload does not have the shape of a `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.json.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_slice(&self.json).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// String keys to string values, sorted by key, without duplicate keys. Cloning shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Option<Arc<Vec<Label>>>);

type Label = (CompactString, CompactString);

impl Labels {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let labels = self.as_slice();
        let at = labels.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        Some(labels[at].1.as_str())
    }

    /// Sets `key`, replacing any previous value.
    pub fn insert(&mut self, key: impl Into<CompactString>, value: impl Into<CompactString>) {
        let key = key.into();
        put(
            Arc::make_mut(self.0.get_or_insert_default()),
            (key, value.into()),
        );
    }

    /// These labels with `more` added. Values of `more` replace those under the same key.
    #[must_use]
    pub fn with<K, V>(&self, more: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<CompactString>,
        V: Into<CompactString>,
    {
        let mut more = more.into_iter().peekable();
        if more.peek().is_none() {
            return self.clone();
        }
        let mut labels = Vec::with_capacity(self.len() + 3);
        labels.extend_from_slice(self.as_slice());
        more.for_each(|(key, value)| put(&mut labels, (key.into(), value.into())));
        Self::of(labels)
    }

    /// A builder to which labels are added one by one.
    pub(crate) fn building() -> LabelsBuilder {
        LabelsBuilder(Vec::new())
    }

    /// Labels already sorted by key, without duplicates.
    fn of(labels: Vec<Label>) -> Self {
        Self((!labels.is_empty()).then(|| Arc::new(labels)))
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let labels = self.as_slice().iter();
        labels.map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// True if there are no labels.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn as_slice(&self) -> &[Label] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// Labels under construction.
pub(crate) struct LabelsBuilder(Vec<Label>);

impl LabelsBuilder {
    pub(crate) fn put(&mut self, key: impl Into<CompactString>, value: impl Into<CompactString>) {
        put(&mut self.0, (key.into(), value.into()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn built(self) -> Labels {
        Labels::of(self.0)
    }
}

/// Inserts `label` in key order, replacing a label with the same key.
fn put(labels: &mut Vec<Label>, label: Label) {
    if labels.last().is_none_or(|(last, _)| *last < label.0) {
        return labels.push(label);
    }
    match labels.binary_search_by(|(key, _)| key.cmp(&label.0)) {
        Ok(at) => labels[at] = label,
        Err(at) => labels.insert(at, label),
    }
}

impl<K: Into<CompactString>, V: Into<CompactString>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut labels = Vec::new();
        for (key, value) in pairs {
            put(&mut labels, (key.into(), value.into()));
        }
        Self::of(labels)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.as_slice() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    /// Reads a flat object of strings. An object whose only key is `labels` is unwrapped: `{"labels": {...}}`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_unit<E>(self) -> Result<Labels, E> {
                Ok(Labels::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Vec::new();
                let mut nested = None;
                while let Some(key) = map.next_key::<CompactString>()? {
                    match map.next_value::<LabelValue>()? {
                        LabelValue::Text(value) => put(&mut labels, (key, value)),
                        LabelValue::Nested(inner) if key == "labels" => nested = Some(inner),
                        LabelValue::Nested(_) => {
                            return Err(serde::de::Error::custom(format_args!(
                                "`{key}`: expected a string, found an object"
                            )));
                        }
                    }
                }
                match nested {
                    None => Ok(Labels::of(labels)),
                    Some(inner) if labels.is_empty() => Ok(inner),
                    Some(_) => Err(serde::de::Error::custom(
                        "`labels` holds an object, which is accepted only when it is the only key",
                    )),
                }
            }
        }
        deserializer.deserialize_any(LabelsVisitor)
    }
}

enum LabelValue {
    Text(CompactString),
    Nested(Labels),
}

impl<'de> Deserialize<'de> for LabelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = LabelValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<LabelValue, E> {
                Ok(LabelValue::Text(text.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelValue, A::Error> {
                let mut labels = Vec::new();
                while let Some(label) = map.next_entry::<CompactString, CompactString>()? {
                    put(&mut labels, label);
                }
                Ok(LabelValue::Nested(Labels::of(labels)))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn labels_stand_in_the_order_of_their_keys_and_the_later_of_two_values_counts() {
        let mixed = labels(&[("m", "1"), ("z", "2"), ("a", "3"), ("z", "4"), ("m", "5")]);
        let sorted = [("a", "3"), ("m", "5"), ("z", "4")];
        assert_eq!(mixed.iter().collect::<Vec<_>>(), sorted);
        assert_eq!((mixed.get("m"), mixed.get("b")), (Some("5"), None));
    }

    #[test]
    fn labels_with_more_leave_those_they_were_made_from_as_they_are() {
        let own = labels(&[("a", "1"), ("c", "2")]);
        let more = own.with([("b", "3"), ("c", "4")]);
        assert_eq!(more, labels(&[("a", "1"), ("b", "3"), ("c", "4")]));
        assert_eq!(own, labels(&[("a", "1"), ("c", "2")]));
        assert_eq!(own.with::<&str, &str>([]), own);
        assert!(Labels::default().with::<&str, &str>([]).is_empty());
    }
}
