//! How a backend that stores bytes writes dead letters and outcomes: one byte with the version, then JSON, and for a
//! dead letter a line feed and the original bytes. Every later version reads the fixtures of this one, which are in the
//! folder beside this file.

use bytes::Bytes;
use memchr::memchr;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::dead_letter::DeadLetter;
use crate::outcome::ActionOutcome;
use crate::parked::Parked;

/// The version that is written.
const VERSION: u8 = 1;
/// Ends the JSON of a dead letter. JSON on one line contains none.
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
