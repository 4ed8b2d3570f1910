//! One record: reads its headers and content, and builds the headers of the records that this source publishes.

use acteon_core::delivery::Position;
use acteon_core::{DeadLetter, Envelope};
use acteon_ingest_kit::delayed::{Known, Owner, headers_of};
use acteon_ingest_kit::headers::{CODE, ID, KIND, MESSAGE, POSITION};
use acteon_ingest_kit::{Decoded, Decoder, Message};
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};

/// The headers of a record that this source knows.
pub(crate) fn known<'a>(record: &'a BorrowedMessage<'_>) -> Known<'a> {
    let headers = record.headers().into_iter().flat_map(Headers::iter);
    Known::of(headers.filter_map(|header| Some((header.key, header.value?))))
}

/// Decodes a record. `raw` and `key` are copies from it. A position in the headers takes precedence over `position`.
pub(crate) fn decode(
    decoder: &Decoder,
    record: &BorrowedMessage<'_>,
    (raw, key): (Bytes, Option<Bytes>),
    known: &Known<'_>,
    position: Position,
    now: Timestamp,
) -> Decoded {
    let stamped = || Timestamp::from_millisecond(record.timestamp().to_millis()?).ok();
    let mut envelope = decoder.decode(Message {
        raw,
        position: known.position().unwrap_or(position),
        id: known.id.map(CompactString::from),
        made_at: known.made_at().or_else(stamped),
        received_at: now,
        traceparent: known.traceparent,
        tracestate: known.tracestate,
    })?;
    envelope.key = key;
    envelope.history = known.history();
    Ok(envelope)
}

/// The headers of an action in a topic of the delayed path.
pub(crate) fn retry_headers(
    owner: &Owner,
    envelope: &Envelope,
    not_before: Timestamp,
) -> OwnedHeaders {
    let headers = headers_of(owner, envelope, not_before).into_iter();
    headers.fold(OwnedHeaders::new(), |headers, (name, value)| {
        with(headers, name, &value)
    })
}

/// The headers of a published dead letter.
pub(crate) fn letter_headers(letter: &DeadLetter) -> OwnedHeaders {
    let headers = OwnedHeaders::new();
    let headers = with(headers, KIND, letter.kind().as_str());
    let headers = with(headers, CODE, &letter.code);
    let headers = with(headers, MESSAGE, &letter.message);
    let headers = with(headers, POSITION, &letter.source);
    let action = letter.action.as_ref();
    with(headers, ID, action.map_or("", |action| &action.id))
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    let value = Some(value);
    headers.insert(Header { key, value })
}
