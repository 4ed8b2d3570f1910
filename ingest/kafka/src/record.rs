//! One record: its headers, and what is read from it. Also how a record looks that this source publishes.

use std::time::Duration;

use acteon_core::delivery::Position;
use acteon_core::{DeadLetter, Envelope, Labels};
use acteon_ingest_kit::headers::{
    CODE, ID, KIND, MADE_AT, MESSAGE, NOT_BEFORE, POSITION, TRACEPARENT, TRACESTATE,
};
use acteon_ingest_kit::{Decoded, Decoder, Message};
use bytes::Bytes;
use compact_str::{CompactString, ToCompactString};
use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};

/// The headers we know. Others are ignored.
#[derive(Default)]
pub(crate) struct Known<'a> {
    traceparent: Option<&'a str>,
    tracestate: Option<&'a str>,
    not_before: Option<&'a str>,
    position: Option<&'a str>,
    id: Option<&'a str>,
    made_at: Option<&'a str>,
}

impl<'a> Known<'a> {
    pub(crate) fn of(record: &'a BorrowedMessage<'_>) -> Self {
        let mut known = Self::default();
        let Some(headers) = record.headers() else {
            return known;
        };
        for header in headers.iter() {
            let place = match header.key {
                TRACEPARENT => &mut known.traceparent,
                TRACESTATE => &mut known.tracestate,
                NOT_BEFORE => &mut known.not_before,
                POSITION => &mut known.position,
                ID => &mut known.id,
                MADE_AT => &mut known.made_at,
                _ => continue,
            };
            *place = header
                .value
                .and_then(|value| std::str::from_utf8(value).ok());
        }
        known
    }

    /// Without what only records of the retry topic may say.
    pub(crate) fn only_trace(self) -> Self {
        Self {
            traceparent: self.traceparent,
            tracestate: self.tracestate,
            ..Self::default()
        }
    }

    /// How long a record of the retry topic still has to wait.
    pub(crate) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let due = timestamp(self.not_before?)?;
        Duration::try_from(due.duration_since(now))
            .ok()
            .filter(|wait| !wait.is_zero())
    }
}

/// Decodes a record, of which `raw` is a copy. It stands at `position`, or where its headers say it stood first.
pub(crate) fn decode(
    decoder: &Decoder,
    record: &BorrowedMessage<'_>,
    raw: Bytes,
    known: &Known<'_>,
    position: Position,
    now: Timestamp,
) -> Decoded {
    let stamped = || Timestamp::from_millisecond(record.timestamp().to_millis()?).ok();
    decoder.decode(Message {
        raw,
        position: known.position.and_then(parse_position).unwrap_or(position),
        id: known.id.map(CompactString::from),
        made_at: known.made_at.and_then(timestamp).or_else(stamped),
        received_at: now,
        traceparent: known.traceparent,
        tracestate: known.tracestate,
    })
}

/// The headers under which an action waits in the retry topic.
pub(crate) fn retry_headers(envelope: &Envelope, not_before: Timestamp) -> OwnedHeaders {
    let action = &envelope.action;
    let headers = OwnedHeaders::new();
    let headers = with(headers, NOT_BEFORE, &millis(not_before));
    let headers = with(headers, POSITION, &envelope.position.to_compact_string());
    let headers = with(headers, MADE_AT, &millis(action.created_at));
    let headers = with(headers, ID, &action.id);
    traced(headers, &action.trace_context)
}

/// The headers of a published dead letter.
pub(crate) fn letter_headers(letter: &DeadLetter) -> OwnedHeaders {
    let headers = OwnedHeaders::new();
    let headers = with(headers, KIND, letter.kind.as_str());
    let headers = with(headers, CODE, &letter.code);
    let headers = with(headers, MESSAGE, &letter.message);
    let headers = with(headers, POSITION, &letter.source);
    with(headers, ID, &letter.action_id)
}

fn traced(mut headers: OwnedHeaders, trace: &Labels) -> OwnedHeaders {
    for name in [TRACEPARENT, TRACESTATE] {
        if let Some(value) = trace.get(name) {
            headers = with(headers, name, value);
        }
    }
    headers
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    let value = Some(value);
    headers.insert(Header { key, value })
}

fn millis(at: Timestamp) -> CompactString {
    at.as_millisecond().to_compact_string()
}

fn timestamp(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}

fn parse_position(text: &str) -> Option<Position> {
    let (stream, offset) = text.rsplit_once('@')?;
    Some(Position {
        stream: stream.into(),
        offset: Some(offset.parse().ok()?),
    })
}
