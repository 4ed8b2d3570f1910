//! Cursors on the wire: opaque text that says where the next page begins.

use acteon_connect_http::ApiError;
use acteon_core::audit::AuditCursor;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use compact_str::CompactString;
use jiff::Timestamp;
use uuid::Uuid;

/// A place in the audit trail: sixteen bytes of nanoseconds since the epoch, sixteen of the id.
pub(super) fn of_record(place: AuditCursor) -> String {
    let mut bytes = place.dispatched_at.as_nanosecond().to_be_bytes().to_vec();
    bytes.extend_from_slice(place.id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that [`of_record`] wrote.
pub(super) fn to_record(text: &str) -> Result<AuditCursor, ApiError> {
    place(text).ok_or_else(foreign)
}

/// A place in the dead letters: eight bytes of the backend's number.
pub(super) fn of_letter(place: u64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(place.to_be_bytes())
}

/// The place that [`of_letter`] wrote.
pub(super) fn to_letter(text: &str) -> Result<u64, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or_else(foreign)
}

/// A place in what waits to be tried again: sixteen bytes of nanoseconds since the epoch, then the place in the source.
pub(super) fn of_redelivery(next_at: Timestamp, source: &str) -> String {
    let mut bytes = next_at.as_nanosecond().to_be_bytes().to_vec();
    bytes.extend_from_slice(source.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that [`of_redelivery`] wrote.
pub(super) fn to_redelivery(text: &str) -> Result<(Timestamp, CompactString), ApiError> {
    redelivery(text).ok_or_else(foreign)
}

fn place(text: &str) -> Option<AuditCursor> {
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
    ApiError::invalid_query("`cursor`: not one that this endpoint gave out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was_to_the_nanosecond() {
        let place = AuditCursor {
            dispatched_at: "2026-01-01T00:00:00.123456789Z".parse().unwrap(),
            id: Uuid::from_u128(7),
        };
        let text = of_record(place);
        assert_eq!(to_record(&text).unwrap(), place);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_eq!(to_letter(&of_letter(7)).unwrap(), 7);
        assert_eq!(to_letter(&of_letter(u64::MAX)).unwrap(), u64::MAX);
        let at = place.dispatched_at;
        let text = of_redelivery(at, "kafka:orders/3@1042");
        let (next_at, source) = to_redelivery(&text).unwrap();
        assert_eq!((next_at, &*source), (at, "kafka:orders/3@1042"));
    }

    #[test]
    fn what_this_endpoint_never_gave_out_is_refused() {
        for text in [
            "",
            "!",
            "AAAA",
            &"A".repeat(43),
            &"_".repeat(43),
            &"A".repeat(10),
            &"A".repeat(12),
        ] {
            let fine = to_record(text).is_ok_and(|place| of_record(place) == text);
            assert!(to_record(text).is_err() || fine, "{text}");
            assert!(to_letter(text).is_err(), "{text}");
        }
        let (without_source, no_text) = ("A".repeat(22), "_".repeat(43));
        let no_time = format!("f{}", "A".repeat(42));
        for text in ["", "!", "AAAA", &without_source, &no_text, &no_time] {
            assert!(to_redelivery(text).is_err(), "{text}");
        }
    }
}
