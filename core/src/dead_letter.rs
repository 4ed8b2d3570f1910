//! What could not be delivered or decoded, kept to be looked at and replayed.

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;

use crate::attempt::AttemptRecord;

/// One dead letter. Its id follows from its place in the source, so that a message read twice is kept once.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// UUID v7.
    pub id: CompactString,
    /// Whether it could be decoded.
    pub kind: DeadLetterKind,
    /// Empty for poison.
    pub namespace: CompactString,
    /// Empty for poison.
    pub tenant: CompactString,
    /// The provider that was asked last; empty for poison.
    pub provider: CompactString,
    /// Empty for poison.
    pub action_type: CompactString,
    /// Empty for poison.
    pub action_id: CompactString,
    /// `INVALID_JSON`, `INVALID_ACTION`, `CIRCUIT_OPEN`, `THROTTLED`, or the code of a failure.
    pub code: CompactString,
    /// One sentence: what was wrong, and where.
    pub message: CompactString,
    /// How often a sink was asked.
    pub attempts: u32,
    /// The last attempts, oldest first.
    pub history: Vec<AttemptRecord>,
    /// The place in the source, such as `kafka:orders/3@1042`.
    pub source: CompactString,
    /// The original bytes.
    pub raw: Bytes,
    /// When it became a dead letter.
    pub created_at: Timestamp,
}

/// Why a message is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterKind {
    /// It could not be decoded.
    Poison,
    /// It could not be delivered.
    Exhausted,
}

impl DeadLetterKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Exhausted => "exhausted",
        }
    }
}
