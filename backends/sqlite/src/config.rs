//! The options of the two backends. Every default works: the file is made beside the configuration.

use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the state backend `sqlite`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteStateOptions {
    /// The file, relative to the configuration file. The audit trail may use the same one.
    pub path: PathBuf,
    /// When a write has reached the disk.
    pub synchronous: Synchronous,
    /// The maximum number of leases, dedup records, throttle keys and tallies together. At the bound, new ones are
    /// refused; tallies already at seven eighths of it.
    pub max_keys: NonZeroU32,
    /// The maximum number of outcomes remembered, to be answered again under their ids. At the bound, the oldest is
    /// evicted.
    pub max_remembered: u32,
    /// The maximum number of bytes of remembered outcomes. At the bound, the oldest is evicted.
    pub max_remembered_bytes: u32,
    /// The maximum number of bytes of groups: their members, and the ids of members that are known. At the bound,
    /// actions of group rules are refused.
    pub max_group_bytes: u64,
    /// The maximum number of bytes of dead letters of each kind. `dead_letters.when_full` defines what happens at the
    /// bound.
    pub max_dead_letter_bytes: u64,
}

impl Default for SqliteStateOptions {
    fn default() -> Self {
        Self {
            path: default_path(),
            synchronous: Synchronous::default(),
            max_keys: const { NonZeroU32::new(10_000_000).unwrap() },
            max_remembered: 1_000_000,
            max_remembered_bytes: 512 << 20,
            max_group_bytes: 1 << 30,
            max_dead_letter_bytes: 1 << 30,
        }
    }
}

/// Options of the audit backend `sqlite`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteAuditOptions {
    /// The file, relative to the configuration file. The state may use the same one.
    pub path: PathBuf,
    /// When a write has reached the disk.
    pub synchronous: Synchronous,
}

impl Default for SqliteAuditOptions {
    fn default() -> Self {
        Self {
            path: default_path(),
            synchronous: Synchronous::default(),
        }
    }
}

fn default_path() -> PathBuf {
    PathBuf::from("acteon.db")
}

/// When a write has reached the disk. State and audit in one file have the same value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// Before it is answered. A power failure takes back nothing.
    #[default]
    Full,
    /// Some time later. A power failure may take back the last writes, but does not damage the file. The end of the
    /// process takes back nothing.
    Normal,
}

impl Synchronous {
    /// Its name in the configuration and in SQLite.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
        }
    }
}
