//! Types of this project as values of SQLite.

use acteon_core::Payload;
use compact_str::CompactString;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};

/// A text that is kept in memory.
pub(crate) struct StoredText(pub(crate) CompactString);

impl FromSql for StoredText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(|text| Self(text.into()))
    }
}

/// A variant by its name.
pub(crate) struct Word<T>(pub(crate) T);

impl<T: DeserializeOwned> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = StrDeserializer::<WordError>::new(value.as_str()?);
        T::deserialize(name).map(Self).map_err(FromSqlError::other)
    }
}

/// A value as JSON.
pub(crate) struct StoredJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromSql for StoredJson<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let read = serde_json::from_str(value.as_str()?);
        read.map(Self).map_err(FromSqlError::other)
    }
}

/// A payload as its JSON text.
pub(crate) struct PayloadText<'a>(pub(crate) &'a Payload);

impl ToSql for PayloadText<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())))
    }
}
