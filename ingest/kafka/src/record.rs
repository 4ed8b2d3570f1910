//! One record: reads its headers and content, and builds the headers of the records that this source publishes.

use acteon_core::delivery::Position;
use acteon_core::{DeadLetter, Envelope};
use acteon_ingest_kit::headers::{
    CODE, ID, KIND, MESSAGE, MessageHeaders, Owner, POSITION, delayed_headers,
};
use acteon_ingest_kit::{Copies, DecodeResult, Decoder, Message};
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};

/// The payload and key of a record, copied out of the client's memory.
pub(crate) struct RecordBytes {
    payload: Bytes,
    key: Option<Box<[u8]>>,
}

impl RecordBytes {
    pub(crate) fn copy(record: &BorrowedMessage<'_>, copies: &mut Copies) -> Self {
        let payload = copies.of(record.payload().unwrap_or_default());
        let key = record.key().map(Box::from);
        Self { payload, key }
    }

    /// The size of both.
    pub(crate) fn len(&self) -> u64 {
        let key = self.key.as_ref().map_or(0, |key| key.len());
        (self.payload.len() + key) as u64
    }
}

/// The headers of a record that this source reads.
pub(crate) fn headers<'a>(record: &'a BorrowedMessage<'_>) -> MessageHeaders<'a> {
    let all = record.headers().into_iter().flat_map(Headers::iter);
    MessageHeaders::of(all.filter_map(|header| Some((header.key, header.value?))))
}

/// Decodes a record, with its `bytes` and `headers`. A position in the headers takes precedence over `position`.
pub(crate) fn decode(
    decoder: &Decoder,
    record: &BorrowedMessage<'_>,
    bytes: RecordBytes,
    headers: &MessageHeaders<'_>,
    position: Position,
    now: Timestamp,
) -> DecodeResult {
    let stamped = || Timestamp::from_millisecond(record.timestamp().to_millis()?).ok();
    let mut envelope = decoder.decode(Message {
        raw: bytes.payload,
        position: headers.position().unwrap_or(position),
        id: headers.id.map(CompactString::from),
        made_at: headers.made_at().or_else(stamped),
        received_at: now,
        traceparent: headers.traceparent,
        tracestate: headers.tracestate,
    })?;
    envelope.key = bytes.key;
    envelope.history = headers.history();
    Ok(envelope)
}

/// The headers of an action in a topic of the delayed path.
pub(crate) fn retry_headers(
    owner: &Owner,
    envelope: &Envelope,
    not_before: Timestamp,
) -> OwnedHeaders {
    let headers = delayed_headers(owner, envelope, not_before).into_iter();
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
