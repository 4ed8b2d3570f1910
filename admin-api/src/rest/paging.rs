//! Limits and cursors of pages. A cursor is opaque text for the position at which the next page starts.

use std::io;

use acteon_connect_http::ApiError;
use acteon_core::audit::AuditCursor;
use acteon_core::state::{EventCursor, EventId};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// How much JSON the items of a page may be. An item that is larger is alone on its page.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// The limit of a page: the requested one if it is from 1 to `max`, or `default`.
///
/// # Errors
/// The message for an error with the code of the endpoint.
pub(super) fn page_limit(
    requested: Option<usize>,
    default: usize,
    max: usize,
) -> Result<usize, String> {
    let limit = requested.unwrap_or(default);
    match (1..=max).contains(&limit) {
        true => Ok(limit),
        false => Err(format!("`limit`: must be from 1 to {max}")),
    }
}

/// The first items, up to the limit on a page's bytes; at least one, if there is any.
pub(super) fn fill_page<T: Serialize>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for item in items {
        bytes += json_bytes(&item);
        if bytes > PAGE_BYTES_MAX && !page.is_empty() {
            break;
        }
        page.push(item);
    }
    page
}

fn json_bytes(item: &impl Serialize) -> usize {
    struct Counter(usize);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // An item that cannot be serialized makes the whole answer an internal error.
    let _ = serde_json::to_writer(&mut counter, item);
    counter.0
}

/// A position in the audit trail: sixteen bytes of nanoseconds since the epoch, then sixteen bytes of the id.
pub(super) fn encode_record(position: AuditCursor) -> String {
    let mut bytes = position
        .dispatched_at
        .as_nanosecond()
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(position.id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a cursor of [`encode_record`].
pub(super) fn decode_record(text: &str) -> Result<AuditCursor, ApiError> {
    record(text).ok_or_else(foreign)
}

/// A position in the dead letters: eight bytes of the backend's number.
pub(super) fn encode_letter(position: u64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(position.to_be_bytes())
}

/// Decodes a cursor of [`encode_letter`].
pub(super) fn decode_letter(text: &str) -> Result<u64, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or_else(foreign)
}

/// A position in the redeliveries: sixteen bytes of nanoseconds since the epoch, then the position in the source.
pub(super) fn encode_redelivery(next_at: Timestamp, source: &str) -> String {
    let mut bytes = next_at.as_nanosecond().to_be_bytes().to_vec();
    bytes.extend_from_slice(source.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a cursor of [`encode_redelivery`].
pub(super) fn decode_redelivery(text: &str) -> Result<(Timestamp, CompactString), ApiError> {
    redelivery(text).ok_or_else(foreign)
}

/// A position in the groups or the silences: the id of the last one.
pub(super) fn encode_id(id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(id)
}

/// Decodes a cursor of [`encode_id`].
pub(super) fn decode_id(text: &str) -> Result<CompactString, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.and_then(|bytes| CompactString::from_utf8(bytes).ok());
    id.filter(|id| !id.is_empty()).ok_or_else(foreign)
}

/// A position in the events: sixteen bytes of nanoseconds since the epoch, then namespace, tenant and fingerprint as
/// JSON.
pub(super) fn encode_event(position: &EventCursor) -> String {
    let mut bytes = position.updated_at.as_nanosecond().to_be_bytes().to_vec();
    let id = &position.event;
    let names = [&id.namespace, &id.tenant, &id.fingerprint];
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut bytes, &names);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a cursor of [`encode_event`].
pub(super) fn decode_event(text: &str) -> Result<EventCursor, ApiError> {
    event(text).ok_or_else(foreign)
}

fn event(text: &str) -> Option<EventCursor> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (time, names) = bytes.split_first_chunk()?;
    let [namespace, tenant, fingerprint] = serde_json::from_slice(names).ok()?;
    Some(EventCursor {
        updated_at: Timestamp::from_nanosecond(i128::from_be_bytes(*time)).ok()?,
        event: EventId {
            namespace,
            tenant,
            fingerprint,
        },
    })
}

fn record(text: &str) -> Option<AuditCursor> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (time, id) = bytes.split_first_chunk()?;
    Some(AuditCursor {
        dispatched_at: Timestamp::from_nanosecond(i128::from_be_bytes(*time)).ok()?,
        id: Uuid::from_slice(id).ok()?,
    })
}

fn redelivery(text: &str) -> Option<(Timestamp, CompactString)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (time, source) = bytes.split_first_chunk()?;
    let next_at = Timestamp::from_nanosecond(i128::from_be_bytes(*time)).ok()?;
    let source = std::str::from_utf8(source).ok()?;
    (!source.is_empty()).then(|| (next_at, source.into()))
}

fn foreign() -> ApiError {
    ApiError::invalid_query("`cursor`: not a cursor of this endpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_decoded_as_it_was_encoded_to_the_nanosecond() {
        let position = AuditCursor {
            dispatched_at: "2026-01-01T00:00:00.123456789Z".parse().unwrap(),
            id: Uuid::from_u128(7),
        };
        let text = encode_record(position);
        assert_eq!(decode_record(&text).unwrap(), position);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_eq!(decode_letter(&encode_letter(7)).unwrap(), 7);
        assert_eq!(decode_letter(&encode_letter(u64::MAX)).unwrap(), u64::MAX);
        let at = position.dispatched_at;
        let text = encode_redelivery(at, "kafka:orders/3@1042");
        let (next_at, source) = decode_redelivery(&text).unwrap();
        assert_eq!((next_at, &*source), (at, "kafka:orders/3@1042"));
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for text in [
            "",
            "!",
            "AAAA",
            &"A".repeat(43),
            &"_".repeat(43),
            &"A".repeat(10),
            &"A".repeat(12),
        ] {
            let fine = decode_record(text).is_ok_and(|position| encode_record(position) == text);
            assert!(decode_record(text).is_err() || fine, "{text}");
            assert!(decode_letter(text).is_err(), "{text}");
        }
        let without_source = "A".repeat(22);
        let no_text = "_".repeat(43);
        let no_time = format!("f{}", "A".repeat(42));
        for text in ["", "!", "AAAA", &without_source, &no_text, &no_time] {
            assert!(decode_redelivery(text).is_err(), "{text}");
        }
    }
}
