//! What is written down about the flush of a group, so that the next attempt goes on where the last one ended.

use acteon_core::History;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::encoding::{GroupEncodingError, decoded, encoded};

/// The progress of a flush.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlushNote {
    /// The ids of the members that the rule's `unless` left out. `None`: it was not asked yet.
    pub left_out: Option<Vec<CompactString>>,
    /// The attempts to deliver the summary so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<History>>,
}

impl FlushNote {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        encoded(self)
    }

    /// Reads the stored form. No bytes are the note of a flush that has not begun.
    ///
    /// # Errors
    /// If a later version wrote it, or it is damaged.
    pub fn decode(stored: &[u8]) -> Result<Self, GroupEncodingError> {
        match stored {
            [] => Ok(Self::default()),
            stored => decoded(stored),
        }
    }
}
