//! The options of the two backends. All of them are bounds, and every default is a working one.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of the state backend `memory`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// How many leases, dedup records, throttle keys, tallies and events are kept at most, together. At the bound, new
    /// ones are refused, tallies and events an eighth before it. An event that goes on counts for its type and each of
    /// its values too.
    pub max_keys: NonZeroUsize,
    /// How many outcomes are remembered at most, to be answered again under their ids. At the bound, the oldest goes.
    pub max_remembered: usize,
    /// How many bytes these take at most. At the bound, the oldest goes.
    pub max_remembered_bytes: usize,
    /// How many bytes the dead letters of each kind take at most. What happens at the bound is `dead_letters.when_full`.
    pub max_dead_letter_bytes: usize,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            max_keys: at_least_one(4_000_000),
            max_remembered: 4_000_000,
            max_remembered_bytes: 512 << 20,
            max_dead_letter_bytes: 256 << 20,
        }
    }
}

/// Options of the audit backend `memory`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// How many records are kept at most. At the bound, the oldest goes.
    pub max_records: NonZeroUsize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            max_records: at_least_one(100_000),
        }
    }
}

fn at_least_one(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}
