//! The stored form of members and frozen settings: a byte for the version, then JSON. A later version reads all earlier
//! ones.

use acteon_core::decode::DecodeError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version that is written.
const VERSION: u8 = 1;

/// Why stored bytes cannot be read.
#[derive(Debug, Error)]
pub enum GroupEncodingError {
    /// They are empty.
    #[error("the stored value is empty")]
    Empty,
    /// A later version of Acteon wrote them.
    #[error("the stored value has the unknown version {0}")]
    Version(u8),
    /// They are damaged.
    #[error("the stored value cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// The action in them is damaged.
    #[error("the stored action cannot be read")]
    Action(#[source] DecodeError),
}

pub(crate) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    // Writing to memory does not fail, and no map has keys other than strings.
    let _ = serde_json::to_writer(&mut out, value);
    out
}

pub(crate) fn decoded<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, GroupEncodingError> {
    match bytes.split_first() {
        None => Err(GroupEncodingError::Empty),
        Some((&VERSION, json)) => {
            serde_json::from_slice(json).map_err(GroupEncodingError::Malformed)
        }
        Some((version, _)) => Err(GroupEncodingError::Version(*version)),
    }
}
