//! Reads the values of filters. A filter that is `null` or empty is refused: it would match more than its sender meant,
//! and bulk changes use filters, too.

use compact_str::CompactString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a value that is not `null`.
pub(super) fn value<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(reader).map(Some)
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
