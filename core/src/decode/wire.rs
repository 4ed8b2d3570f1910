//! The fields of an action as JSON has them, filled where they stand: the struct is large, and to hand it from
//! reader to reader costs more than to read it. What must be there, and how names look, is checked in `decode`.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sonic_rs::LazyValue;

use crate::action::{Labels, Payload};

/// What was read. A field that is `null` is as one that is absent, but for the payload.
#[derive(Debug, Default)]
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
    pub(super) starts_at: Option<Timestamp>,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) trace_context: Option<Labels>,
}

/// A value that a reader leaves as its text.
pub(super) trait Raw {
    fn text(&self) -> &str;
}

impl Raw for LazyValue<'_> {
    fn text(&self) -> &str {
        self.as_raw_str()
    }
}

impl Raw for &RawValue {
    fn text(&self) -> &str {
        self.get()
    }
}

/// Reads an object into a [`Wire`]; the payload, read as a `P`, shares `bytes`.
pub(super) struct Fill<'a, P> {
    wire: &'a mut Wire,
    bytes: &'a Bytes,
    raw: PhantomData<P>,
}

impl<'a, P> Fill<'a, P> {
    pub(super) fn new(wire: &'a mut Wire, bytes: &'a Bytes) -> Self {
        let raw = PhantomData;
        Self { wire, bytes, raw }
    }
}

impl<'de, P: Raw + Deserialize<'de>> DeserializeSeed<'de> for Fill<'_, P> {
    type Value = ();

    /// From an object only; a derived reader would take an array in its place.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, P: Raw + Deserialize<'de>> Visitor<'de> for Fill<'_, P> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an action object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { wire, bytes, .. } = self;
        let mut seen = 0;
        while let Some(field) = map.next_key::<Field>()? {
            field.count(&mut seen)?;
            match field {
                Field::Id => wire.id = map.next_value()?,
                Field::Namespace => wire.namespace = map.next_value()?,
                Field::Tenant => wire.tenant = map.next_value()?,
                Field::Provider => wire.provider = map.next_value()?,
                Field::ActionType => wire.action_type = map.next_value()?,
                Field::Payload => {
                    let raw: P = map.next_value()?;
                    wire.payload = Some(Payload::from_parsed(share(bytes, raw.text())));
                }
                Field::Metadata => wire.metadata = map.next_value()?,
                Field::DedupKey => wire.dedup_key = map.next_value()?,
                Field::Status => wire.status = map.next_value()?,
                Field::Fingerprint => wire.fingerprint = map.next_value()?,
                Field::StartsAt => wire.starts_at = map.next_value()?,
                Field::EndsAt => wire.ends_at = map.next_value()?,
                Field::CreatedAt => wire.created_at = map.next_value()?,
                Field::TraceContext => wire.trace_context = map.next_value()?,
                Field::Other => _ = map.next_value::<serde::de::IgnoredAny>()?,
            }
        }
        Ok(())
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

#[derive(Clone, Copy, Deserialize)]
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
    #[serde(other)]
    Other,
}

impl Field {
    /// Refuses a field that was `seen` before. Fields that we do not know may come as often as they like.
    fn count<E: Error>(self, seen: &mut u16) -> Result<(), E> {
        let Some(name) = FIELDS.get(self as usize) else {
            return Ok(());
        };
        let bit = 1 << self as u16;
        if *seen & bit != 0 {
            return Err(E::duplicate_field(name));
        }
        *seen |= bit;
        Ok(())
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
