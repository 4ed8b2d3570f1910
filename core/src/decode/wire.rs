//! The fields of an action as JSON has them, filled where they stand: the struct is large, and to hand it from
//! reader to reader costs more than to read it. What must be there, and how names look, is checked in `decode`.

use std::fmt;

use bytes::Bytes;
use compact_str::CompactString;
use serde::de::value::{Error as Unknown, StrDeserializer};
use serde::de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::reader::{JsonReader, Malformed};
use crate::action::{Labels, Payload};
use crate::time::Time;

/// What was read. A field that is `null` is as one that is absent, but for the payload.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wire {
    pub(super) id: Option<CompactString>,
    pub(super) namespace: Option<CompactString>,
    pub(super) tenant: Option<CompactString>,
    pub(super) provider: Option<CompactString>,
    pub(super) action_type: Option<CompactString>,
    pub(super) payload: Option<Payload>,
    pub(super) metadata: Option<Labels>,
    pub(super) dedup_key: Option<CompactString>,
    pub(super) status: Option<CompactString>,
    pub(super) fingerprint: Option<CompactString>,
    pub(super) starts_at: Option<Time>,
    pub(super) ends_at: Option<Time>,
    pub(super) created_at: Option<Time>,
    pub(super) trace_context: Option<Labels>,
}

impl Wire {
    /// Reads an object with the fast reader. The payload shares `bytes`.
    pub(super) fn fill(
        &mut self,
        reader: &mut JsonReader<'_>,
        bytes: &Bytes,
    ) -> Result<(), Malformed> {
        let mut seen = 0;
        reader.object(|reader, key| {
            let field = Field::of(key);
            if !field.is_first(&mut seen) {
                return Err(Malformed);
            }
            match field {
                Field::Id => self.id = text(reader)?,
                Field::Namespace => self.namespace = text(reader)?,
                Field::Tenant => self.tenant = text(reader)?,
                Field::Provider => self.provider = text(reader)?,
                Field::ActionType => self.action_type = text(reader)?,
                Field::Payload => {
                    let (json, members) = reader.value_and_members()?;
                    self.payload = Some(Payload::from_parsed(share(bytes, json), members));
                }
                Field::Metadata => self.metadata = labels(reader)?,
                Field::DedupKey => self.dedup_key = text(reader)?,
                Field::Status => self.status = text(reader)?,
                Field::Fingerprint => self.fingerprint = text(reader)?,
                Field::StartsAt => self.starts_at = reader.parse()?,
                Field::EndsAt => self.ends_at = reader.parse()?,
                Field::CreatedAt => self.created_at = reader.parse()?,
                Field::TraceContext => self.trace_context = labels(reader)?,
                Field::Attachments | Field::Template | Field::Signature => {
                    if !reader.null()? {
                        return Err(Malformed);
                    }
                }
                Field::Other => _ = reader.value()?,
            }
            Ok(())
        })
    }
}

fn text(reader: &mut JsonReader<'_>) -> Result<Option<CompactString>, Malformed> {
    Ok(match reader.null()? {
        true => None,
        false => Some(reader.string()?.into()),
    })
}

fn labels(reader: &mut JsonReader<'_>) -> Result<Option<Labels>, Malformed> {
    const NESTED: &str = "labels";
    if reader.null()? {
        return Ok(None);
    }
    let (mut flat, mut nested) = (Labels::building(), None);
    reader.object(|reader, key| {
        if key == NESTED && reader.is_at_object() {
            let mut inner = Labels::building();
            reader.object(|reader, key| {
                inner.put(key, reader.string()?);
                Ok(())
            })?;
            nested = Some(inner.built());
        } else {
            flat.put(key, reader.string()?);
        }
        Ok(())
    })?;
    match nested {
        None => Ok(Some(flat.built())),
        Some(inner) if flat.is_empty() => Ok(Some(inner)),
        Some(_) => Err(Malformed),
    }
}

/// Reads an object into a [`Wire`] by way of serde; the payload shares `bytes`.
pub(super) struct Fill<'a> {
    wire: &'a mut Wire,
    bytes: &'a Bytes,
}

impl<'a> Fill<'a> {
    pub(super) fn new(wire: &'a mut Wire, bytes: &'a Bytes) -> Self {
        Self { wire, bytes }
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    /// From an object only; a derived reader would take an array in its place.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an action object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { wire, bytes } = self;
        let mut seen = 0;
        while let Some(field) = map.next_key::<Field>()? {
            if !field.is_first(&mut seen) {
                return Err(A::Error::duplicate_field(FIELDS[field as usize]));
            }
            match field {
                Field::Id => wire.id = map.next_value()?,
                Field::Namespace => wire.namespace = map.next_value()?,
                Field::Tenant => wire.tenant = map.next_value()?,
                Field::Provider => wire.provider = map.next_value()?,
                Field::ActionType => wire.action_type = map.next_value()?,
                Field::Payload => {
                    let raw: &RawValue = map.next_value()?;
                    wire.payload = Some(Payload::from_parsed(share(bytes, raw.get()), None));
                }
                Field::Metadata => wire.metadata = map.next_value()?,
                Field::DedupKey => wire.dedup_key = map.next_value()?,
                Field::Status => wire.status = map.next_value()?,
                Field::Fingerprint => wire.fingerprint = map.next_value()?,
                Field::StartsAt => wire.starts_at = map.next_value()?,
                Field::EndsAt => wire.ends_at = map.next_value()?,
                Field::CreatedAt => wire.created_at = map.next_value()?,
                Field::TraceContext => wire.trace_context = map.next_value()?,
                Field::Attachments => nothing(&mut map, "attachments")?,
                Field::Template => nothing(&mut map, "template")?,
                Field::Signature => nothing(&mut map, "signature")?,
                Field::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// Passes over `null`. Anything else would be lost, and whoever sent it would not know.
fn nothing<'de, A: MapAccess<'de>>(map: &mut A, field: &str) -> Result<(), A::Error> {
    match map.next_value::<Option<IgnoredAny>>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom(format_args!(
            "`{field}` is not supported yet and would be lost: leave it out"
        ))),
    }
}

/// The fields of an action on the wire, in the order of [`Field`].
pub const FIELDS: [&str; 14] = [
    "id",
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "payload",
    "metadata",
    "dedup_key",
    "status",
    "fingerprint",
    "starts_at",
    "ends_at",
    "created_at",
    "trace_context",
];

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Id,
    Namespace,
    Tenant,
    Provider,
    ActionType,
    Payload,
    Metadata,
    DedupKey,
    Status,
    Fingerprint,
    StartsAt,
    EndsAt,
    CreatedAt,
    TraceContext,
    Attachments,
    Template,
    Signature,
    #[serde(other)]
    Other,
}

impl Field {
    fn of(key: &str) -> Self {
        let key: StrDeserializer<'_, Unknown> = key.into_deserializer();
        Self::deserialize(key).unwrap_or(Self::Other)
    }

    /// False for a field that was `seen` before. Fields that we do not know may come as often as they like.
    fn is_first(self, seen: &mut u16) -> bool {
        if self as usize >= FIELDS.len() {
            return true;
        }
        let bit = 1 << self as u16;
        let is_first = *seen & bit == 0;
        *seen |= bit;
        is_first
    }
}

/// `part` as a slice of `bytes` when it lies inside, else as a copy.
fn share(bytes: &Bytes, part: &str) -> Bytes {
    if bytes.as_ptr_range().contains(&part.as_ptr()) {
        bytes.slice_ref(part.as_bytes())
    } else {
        Bytes::copy_from_slice(part.as_bytes())
    }
}
