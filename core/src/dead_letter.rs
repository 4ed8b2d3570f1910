//! Messages that could not be delivered or decoded, kept for inspection and replay; and the bounds on how many are
//! kept.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRecord;

/// One dead letter. Its id is derived from its place in the source, so that a message read twice is stored once.
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
    /// The last provider called; empty for poison.
    pub provider: CompactString,
    /// Empty for poison.
    pub action_type: CompactString,
    /// Empty for poison.
    pub action_id: CompactString,
    /// `INVALID_JSON`, `INVALID_ACTION`, `CIRCUIT_OPEN`, `THROTTLED`, or the code of a failure.
    pub code: CompactString,
    /// One sentence on the problem and where it is.
    pub message: CompactString,
    /// How often a sink was called.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterKind {
    /// It could not be decoded.
    Poison,
    /// It could not be delivered.
    Exhausted,
}

impl DeadLetterKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Poison, Self::Exhausted];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Exhausted => "exhausted",
        }
    }
}

/// Which dead letters are meant: those of which all that is given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Only this kind.
    pub kind: Option<DeadLetterKind>,
    /// Only this namespace.
    pub namespace: Option<CompactString>,
    /// Only this tenant.
    pub tenant: Option<CompactString>,
    /// Only this provider.
    pub provider: Option<CompactString>,
    /// Only actions of this type.
    pub action_type: Option<CompactString>,
    /// Only this reason.
    pub code: Option<CompactString>,
    /// Only those that became dead letters then or later.
    pub from: Option<Timestamp>,
    /// Only those that became dead letters before.
    pub to: Option<Timestamp>,
}

impl LetterFilter {
    /// Whether all that is given holds.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<CompactString>, value: &CompactString| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        self.kind.is_none_or(|kind| kind == letter.kind)
            && is(&self.namespace, &letter.namespace)
            && is(&self.tenant, &letter.tenant)
            && is(&self.provider, &letter.provider)
            && is(&self.action_type, &letter.action_type)
            && is(&self.code, &letter.code)
            && self.from.is_none_or(|from| from <= letter.created_at)
            && self.to.is_none_or(|to| letter.created_at < to)
    }
}

/// How many dead letters of each kind to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterBounds {
    /// The bound for those that could not be decoded.
    pub poison: DeadLetterBound,
    /// The bound for those that could not be delivered.
    pub exhausted: DeadLetterBound,
}

impl DeadLetterBounds {
    /// The bound of one kind.
    pub fn of(&self, kind: DeadLetterKind) -> DeadLetterBound {
        match kind {
            DeadLetterKind::Poison => self.poison,
            DeadLetterKind::Exhausted => self.exhausted,
        }
    }
}

/// How many dead letters of one kind to keep, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterBound {
    /// The maximum number.
    pub max: NonZeroUsize,
    /// How long to keep each, counted from when it was stored.
    pub retention: Duration,
    /// What to do at the maximum.
    pub when_full: FullPolicy,
}

impl Default for DeadLetterBound {
    fn default() -> Self {
        Self {
            max: const { NonZeroUsize::new(100_000).unwrap() },
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            when_full: FullPolicy::default(),
        }
    }
}

/// What to do with a dead letter for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FullPolicy {
    /// Refuse it. Its source keeps the message and waits.
    #[default]
    Block,
    /// Delete the one stored first.
    EvictOldest,
}
