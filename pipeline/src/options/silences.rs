//! `[silences]`: how many silences there may be, and how long they may last.

use std::time::Duration;

use acteon_core::seconds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many silences there may be, and how long they may last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct SilenceOptions {
    /// The longest duration of a silence, from its start or from its last extension.
    #[serde(rename = "max_duration_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 60, max = 31_622_400))]
    pub duration_max: Duration,
    /// The maximum number of silences of a namespace and tenant that have not ended.
    #[serde(rename = "max_per_tenant")]
    #[schemars(range(min = 1, max = 100_000))]
    pub live_max: usize,
}

impl Default for SilenceOptions {
    fn default() -> Self {
        Self {
            duration_max: Duration::from_secs(31 * 86_400),
            live_max: 1000,
        }
    }
}
