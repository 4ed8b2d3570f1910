//! Reads the values of filters. A filter that is `null` or empty is refused: it would match more than its sender meant,
//! and bulk changes use filters, too.

use acteon_core::Time;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a value that is not `null`.
pub(super) fn value<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(reader).map(Some)
}

/// Reads a time of the years 1 to 9999.
pub(super) fn time<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Timestamp>, D::Error> {
    Time::deserialize(reader).map(|time| Some(time.timestamp()))
}

/// Reads text that is not empty.
pub(super) fn text<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<CompactString>, D::Error> {
    let text = CompactString::deserialize(reader)?;
    if text.is_empty() {
        return Err(D::Error::custom("must not be empty"));
    }
    Ok(Some(text))
}
