//! Reads the fields of an action, in place: the struct is large, and passing it from reader to reader costs more than
//! reading it. Required fields and the form of names are checked in `decode`.

use std::fmt;

use bytes::Bytes;
use compact_str::CompactString;
use serde::de::value::{Error as Unknown, StrDeserializer};
use serde::de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::reader::{JsonReader, Malformed};
use crate::action::{Labels, Payload, action_fields};
use crate::time::Time;

macro_rules! wire_action {
    ($($variant:ident $name:ident: $type:ty = $field:ident,)+) => {
        /// The fields as read. Except for the payload, `null` means absent.
        #[derive(Debug, Default, PartialEq)]
        pub(super) struct WireAction {
            $(pub(super) $name: Option<$type>,)+
        }

        /// The fields of an action on the wire, in the order of [`Field`].
        pub const FIELDS: [&str; [$(stringify!($name)),+].len()] = [$(stringify!($name)),+];

        #[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Field {
            $($variant,)+
            Attachments,
            Template,
            Signature,
            #[serde(other)]
            Other,
        }

        impl WireAction {
            /// Reads the value of one field with the fast reader.
            fn read(
                &mut self,
                field: Field,
                reader: &mut JsonReader<'_>,
                bytes: &Bytes,
            ) -> Result<(), Malformed> {
                match field {
                    $(Field::$variant => self.$name = FieldValue::read(reader, bytes)?,)+
                    Field::Attachments | Field::Template | Field::Signature => {
                        if !reader.null()? {
                            return Err(Malformed);
                        }
                    }
                    Field::Other => _ = reader.value()?,
                }
                Ok(())
            }

            /// Reads the value of one field with serde.
            fn next_value<'de, A: MapAccess<'de>>(
                &mut self,
                field: Field,
                map: &mut A,
                bytes: &Bytes,
            ) -> Result<(), A::Error> {
                match field {
                    $(Field::$variant => self.$name = FieldValue::next_value(map, bytes)?,)+
                    Field::Attachments => unsupported(map, "attachments")?,
                    Field::Template => unsupported(map, "template")?,
                    Field::Signature => unsupported(map, "signature")?,
                    Field::Other => _ = map.next_value::<IgnoredAny>()?,
                }
                Ok(())
            }
        }
    };
}

action_fields!(wire_action);

impl WireAction {
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
            self.read(field, reader, bytes)
        })
    }
}

/// The value of a field, as either reader reads it.
trait FieldValue: Sized {
    fn read(reader: &mut JsonReader<'_>, bytes: &Bytes) -> Result<Option<Self>, Malformed>;

    fn next_value<'de, A: MapAccess<'de>>(
        map: &mut A,
        bytes: &Bytes,
    ) -> Result<Option<Self>, A::Error>;
}

impl FieldValue for CompactString {
    fn read(reader: &mut JsonReader<'_>, _: &Bytes) -> Result<Option<Self>, Malformed> {
        Ok(match reader.null()? {
            true => None,
            false => Some(reader.string()?.into()),
        })
    }

    fn next_value<'de, A: MapAccess<'de>>(
        map: &mut A,
        _: &Bytes,
    ) -> Result<Option<Self>, A::Error> {
        map.next_value()
    }
}

impl FieldValue for Time {
    fn read(reader: &mut JsonReader<'_>, _: &Bytes) -> Result<Option<Self>, Malformed> {
        reader.parse()
    }

    fn next_value<'de, A: MapAccess<'de>>(
        map: &mut A,
        _: &Bytes,
    ) -> Result<Option<Self>, A::Error> {
        map.next_value()
    }
}

impl FieldValue for Payload {
    fn read(reader: &mut JsonReader<'_>, bytes: &Bytes) -> Result<Option<Self>, Malformed> {
        let (json, members) = reader.value_and_members()?;
        Ok(Some(Self::from_parsed(share(bytes, json), members)))
    }

    fn next_value<'de, A: MapAccess<'de>>(
        map: &mut A,
        bytes: &Bytes,
    ) -> Result<Option<Self>, A::Error> {
        let raw: &RawValue = map.next_value()?;
        Ok(Some(Self::from_parsed(share(bytes, raw.get()), None)))
    }
}

impl FieldValue for Labels {
    fn read(reader: &mut JsonReader<'_>, _: &Bytes) -> Result<Option<Self>, Malformed> {
        const NESTED: &str = "labels";
        if reader.null()? {
            return Ok(None);
        }
        let mut flat = Self::building();
        let mut nested = None;
        reader.object(|reader, key| {
            if key == NESTED && reader.is_at_object() {
                let mut inner = Self::building();
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

    fn next_value<'de, A: MapAccess<'de>>(
        map: &mut A,
        _: &Bytes,
    ) -> Result<Option<Self>, A::Error> {
        map.next_value()
    }
}

/// Reads an object into a [`WireAction`] with serde. The payload shares `bytes`.
pub(super) struct Fill<'a> {
    wire: &'a mut WireAction,
    bytes: &'a Bytes,
}

impl<'a> Fill<'a> {
    pub(super) fn new(wire: &'a mut WireAction, bytes: &'a Bytes) -> Self {
        Self { wire, bytes }
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    /// From an object only. A derived reader would accept an array too.
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
        let mut seen = 0;
        while let Some(field) = map.next_key::<Field>()? {
            if !field.is_first(&mut seen) {
                return Err(A::Error::duplicate_field(FIELDS[field as usize]));
            }
            self.wire.next_value(field, &mut map, self.bytes)?;
        }
        Ok(())
    }
}

/// Skips `null`. Any other value would be lost without the producer's knowledge.
fn unsupported<'de, A: MapAccess<'de>>(map: &mut A, field: &str) -> Result<(), A::Error> {
    match map.next_value::<Option<IgnoredAny>>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom(format_args!(
            "`{field}` is not supported yet and would be lost: leave it out"
        ))),
    }
}

impl Field {
    fn of(key: &str) -> Self {
        let key: StrDeserializer<'_, Unknown> = key.into_deserializer();
        Self::deserialize(key).unwrap_or(Self::Other)
    }

    /// False for a field that is already in `seen`. Unknown fields may be repeated.
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

/// `part` as a slice of `bytes` if it lies inside them, otherwise as a copy.
fn share(bytes: &Bytes, part: &str) -> Bytes {
    if bytes.as_ptr_range().contains(&part.as_ptr()) {
        bytes.slice_ref(part.as_bytes())
    } else {
        Bytes::copy_from_slice(part.as_bytes())
    }
}
