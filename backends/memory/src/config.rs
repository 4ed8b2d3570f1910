//! The options of the two backends. All are bounds, and every default works.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the state backend `memory`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// The maximum number of leases, dedup records, throttle keys and places held under them, tallies and events
    /// together. At the bound, new ones are refused; tallies and events already at seven eighths of it. An active event
    /// also counts for its type and each of its values.
    pub max_keys: NonZeroUsize,
    /// The maximum number of outcomes remembered, to be answered again under their ids. At the bound, the oldest is
    /// evicted.
    pub max_remembered: usize,
    /// The maximum number of bytes of remembered outcomes. At the bound, the oldest is evicted.
    pub max_remembered_bytes: usize,
    /// The maximum number of bytes of groups: their members, and the ids of members that are known. At the bound,
    /// actions of group rules are refused.
    pub max_group_bytes: usize,
    /// The maximum number of bytes of dead letters of each kind. `dead_letters.when_full` defines what happens at the
    /// bound.
    pub max_dead_letter_bytes: usize,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            max_keys: at_least_one(4_000_000),
            max_remembered: 4_000_000,
            max_remembered_bytes: 512 << 20,
            max_group_bytes: 256 << 20,
            max_dead_letter_bytes: 256 << 20,
        }
    }
}

/// Options of the audit backend `memory`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// The maximum number of records. At the bound, the oldest is evicted.
    pub max_records: NonZeroUsize,
    /// The maximum number of bytes of records, payloads included. At the bound, the oldest is evicted; the newest is
    /// kept in any case.
    pub max_bytes: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            max_records: at_least_one(100_000),
            max_bytes: 256 << 20,
        }
    }
}

fn at_least_one(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}
