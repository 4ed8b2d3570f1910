//! How a backend that stores bytes writes dead letters, events, silences and outcomes: one byte with the version, then
//! JSON, and for a dead letter or an event a line feed and its own bytes. Every later version reads the fixtures of this
//! one, which are in the folder beside this file.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use memchr::memchr;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dead_letter::DeadLetter;
use crate::outcome::ActionOutcome;
use crate::parked::Parked;
use crate::silence::Silence;
use crate::state::{EventEnd, EventPhase, EventRecord, EventValue};

/// The version that is written.
const VERSION: u8 = 1;
/// Ends the JSON before other bytes. JSON on one line contains none.
const END_OF_JSON: u8 = b'\n';

/// Why stored bytes cannot be read, or a value cannot be stored.
#[derive(Debug, Error)]
pub enum EncodingError {
    /// A newer process wrote them, or they are no stored value.
    #[error("the stored value has the unknown version {0}")]
    UnknownVersion(u8),
    /// They were cut.
    #[error("the stored value is cut short")]
    Cut,
    /// The JSON is not that of such a value.
    #[error("the stored value has unreadable JSON")]
    Json(#[from] serde_json::Error),
}

/// A dead letter as it is stored.
///
/// # Errors
/// None is known: every dead letter has a JSON form.
pub fn encode_dead_letter(letter: &DeadLetter) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = encoded(letter, letter.raw.len())?;
    bytes.push(END_OF_JSON);
    bytes.extend_from_slice(&letter.raw);
    Ok(bytes)
}

/// The dead letter in these bytes.
///
/// # Errors
/// If they are no dead letter of a known version.
pub fn decode_dead_letter(bytes: &[u8]) -> Result<DeadLetter, EncodingError> {
    let end = memchr(END_OF_JSON, bytes).ok_or(EncodingError::Cut)?;
    let letter: DeadLetter = decoded(&bytes[..end])?;
    let raw = Bytes::copy_from_slice(&bytes[end + 1..]);
    Ok(DeadLetter {
        raw: Parked::new(raw),
        ..letter
    })
}

/// The JSON of an event.
#[derive(Serialize, Deserialize)]
struct EventJson<'a> {
    event_type: Cow<'a, CompactString>,
    state: Cow<'a, CompactString>,
    /// How long it is kept after its end. Absent while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention_ns: Option<u64>,
    /// Names and values.
    values: Vec<(CompactString, CompactString)>,
    /// When it has ended, and the state in which it was active until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<(Timestamp, CompactString)>,
    updated_at: Timestamp,
}

/// An event as it is stored. What identifies it, its version and its timer are beside it.
///
/// # Errors
/// None is known: every event has a JSON form.
pub fn encode_event(record: &EventRecord) -> Result<Vec<u8>, EncodingError> {
    let values = record.values.iter();
    let json = EventJson {
        event_type: Cow::Borrowed(&record.event_type),
        state: Cow::Borrowed(&record.state),
        retention_ns: match record.phase {
            EventPhase::Active => None,
            EventPhase::Ended(kept) => Some(u64::try_from(kept.as_nanos()).unwrap_or(u64::MAX)),
        },
        values: values
            .map(|one| (one.name.clone(), one.value.clone()))
            .collect(),
        ended: (record.ended.as_ref()).map(|end| (end.at, end.from.clone())),
        updated_at: record.updated_at,
    };
    let mut bytes = encoded(&json, record.body.len())?;
    bytes.push(END_OF_JSON);
    bytes.extend_from_slice(&record.body);
    Ok(bytes)
}

/// The event in these bytes.
///
/// # Errors
/// If they are no event of a known version.
pub fn decode_event(bytes: &[u8]) -> Result<EventRecord, EncodingError> {
    let end = memchr(END_OF_JSON, bytes).ok_or(EncodingError::Cut)?;
    let json: EventJson<'_> = decoded(&bytes[..end])?;
    let values = json.values.into_iter();
    Ok(EventRecord {
        event_type: json.event_type.into_owned(),
        state: json.state.into_owned(),
        phase: match json.retention_ns {
            None => EventPhase::Active,
            Some(kept) => EventPhase::Ended(Duration::from_nanos(kept)),
        },
        values: values
            .map(|(name, value)| EventValue { name, value })
            .collect(),
        ended: json.ended.map(|(at, from)| EventEnd { at, from }),
        updated_at: json.updated_at,
        body: Bytes::copy_from_slice(&bytes[end + 1..]),
    })
}

/// A silence as it is stored. Its version is beside it.
///
/// # Errors
/// None is known: every silence has a JSON form.
pub fn encode_silence(silence: &Silence) -> Result<Vec<u8>, EncodingError> {
    encoded(silence, 0)
}

/// The silence in these bytes.
///
/// # Errors
/// If they are no silence of a known version.
pub fn decode_silence(bytes: &[u8]) -> Result<Silence, EncodingError> {
    decoded(bytes)
}

/// An outcome as it is stored.
///
/// # Errors
/// None is known: every outcome has a JSON form.
pub fn encode_outcome(outcome: &ActionOutcome) -> Result<Vec<u8>, EncodingError> {
    encoded(outcome, 0)
}

/// The outcome in these bytes.
///
/// # Errors
/// If they are no outcome of a known version.
pub fn decode_outcome(bytes: &[u8]) -> Result<ActionOutcome, EncodingError> {
    decoded(bytes)
}

/// The version and the JSON, with room for `more` bytes.
fn encoded<T: Serialize>(value: &T, more: usize) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::with_capacity(512 + more);
    bytes.push(VERSION);
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes)
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EncodingError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
        Some((version, _)) => Err(EncodingError::UnknownVersion(*version)),
        None => Err(EncodingError::Cut),
    }
}

#[cfg(test)]
mod tests;
