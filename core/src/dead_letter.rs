//! Messages that could not be delivered or decoded, kept for inspection and replay; and the bounds on how many are
//! kept.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::{AttemptRecord, DeliveryProgress};
use crate::parked::Parked;
use crate::scope::Scope;

/// One dead letter. Its id is derived from its place in the source, so that a message read twice is stored once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// UUID v7.
    pub id: CompactString,
    /// The action; `None` for poison, which could not be decoded.
    pub action: Option<DeadLetterAction>,
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
    /// The original bytes. Stored beside the JSON of the other fields.
    #[serde(skip, default = "nothing")]
    pub raw: Parked<Bytes>,
    /// When it became a dead letter.
    pub created_at: Timestamp,
}

fn nothing() -> Parked<Bytes> {
    Parked::new(Bytes::new())
}

/// The action of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterAction {
    /// The action's id.
    pub id: CompactString,
    /// Its namespace.
    pub namespace: CompactString,
    /// Its tenant.
    pub tenant: CompactString,
    /// The last provider called.
    pub provider: CompactString,
    /// Its type.
    pub action_type: CompactString,
    /// The progress, if it is partly delivered. A replay continues from it.
    pub progress: Option<Box<DeliveryProgress>>,
}

impl DeadLetter {
    /// Whether it could be decoded.
    pub fn kind(&self) -> DeadLetterKind {
        match self.action {
            Some(_) => DeadLetterKind::Exhausted,
            None => DeadLetterKind::Poison,
        }
    }

    /// True if the scope covers it. Poison belongs to no tenant: only a scope that covers the empty name covers it.
    pub fn is_inside(&self, scope: &Scope) -> bool {
        match &self.action {
            Some(action) => scope.covers(&action.namespace, &action.tenant, &action.action_type),
            None => scope.covers("", "", ""),
        }
    }
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

/// Selects dead letters. Every filter that is set must match.
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
    /// Only letters created at this time or later.
    pub from: Option<Timestamp>,
    /// Only letters created before this time.
    pub to: Option<Timestamp>,
}

impl LetterFilter {
    /// True if every filter matches.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<CompactString>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let of_action = |wanted: &Option<CompactString>,
                         name: fn(&DeadLetterAction) -> &CompactString| {
            is(
                wanted,
                letter.action.as_ref().map_or("", |action| name(action)),
            )
        };
        self.kind.is_none_or(|kind| kind == letter.kind())
            && of_action(&self.namespace, |action| &action.namespace)
            && of_action(&self.tenant, |action| &action.tenant)
            && of_action(&self.provider, |action| &action.provider)
            && of_action(&self.action_type, |action| &action.action_type)
            && is(&self.code, &letter.code)
            && self.from.is_none_or(|from| from <= letter.created_at)
            && self.to.is_none_or(|to| letter.created_at < to)
    }
}

/// How many dead letters of each kind to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterBounds {
    /// The bound for messages that could not be decoded.
    pub poison: DeadLetterBound,
    /// The bound for actions that could not be delivered.
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
