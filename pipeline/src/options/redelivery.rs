//! `[redelivery]`: when to redeliver an action from a broker that could not be delivered, and the overrides of single
//! providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::seconds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When to redeliver actions from brokers, once their attempts are used up or their provider cannot take them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct RedeliverySchedules {
    /// How long to wait before each redelivery. The last wait repeats.
    #[schemars(length(min = 1, max = 100), inner(range(min = 1, max = 604_800)))]
    pub schedule_seconds: Vec<u64>,
    /// How long to keep trying, counted from the first attempt. Then the action becomes a dead letter.
    #[serde(rename = "give_up_after_seconds", with = "seconds")]
    #[schemars(with = "u64", range(max = 604_800))]
    pub give_up_after: Duration,
    /// Overrides for single providers, by name.
    pub providers: BTreeMap<String, RedeliveryOverrides>,
}

impl Default for RedeliverySchedules {
    fn default() -> Self {
        Self {
            schedule_seconds: vec![5, 30, 120, 600, 1800, 3600],
            give_up_after: Duration::from_secs(86_400),
            providers: BTreeMap::new(),
        }
    }
}

/// Overrides for one provider. A missing key keeps the value that applies to all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedeliveryOverrides {
    /// How long to wait before each redelivery. The last wait repeats.
    #[schemars(length(min = 1, max = 100), inner(range(min = 1, max = 604_800)))]
    pub schedule_seconds: Option<Vec<u64>>,
    /// How long to keep trying, counted from the first attempt.
    #[serde(
        rename = "give_up_after_seconds",
        with = "seconds::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<u64>", range(max = 604_800))]
    pub give_up_after: Option<Duration>,
}

/// When to redeliver actions of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeliveryOptions {
    /// The wait before each redelivery. The last wait repeats.
    pub schedule: Arc<[Duration]>,
    /// How long to keep trying, counted from the first attempt.
    pub give_up_after: Duration,
}

impl Default for RedeliveryOptions {
    fn default() -> Self {
        RedeliverySchedules::default().for_unknown_provider()
    }
}

impl RedeliverySchedules {
    /// When to redeliver actions of the named provider.
    pub fn for_provider(&self, name: &str) -> RedeliveryOptions {
        let own = self.providers.get(name).cloned().unwrap_or_default();
        let schedule = own.schedule_seconds.as_ref();
        let schedule = schedule.unwrap_or(&self.schedule_seconds).iter();
        RedeliveryOptions {
            schedule: schedule.copied().map(Duration::from_secs).collect(),
            give_up_after: own.give_up_after.unwrap_or(self.give_up_after),
        }
    }

    /// When to redeliver actions whose provider is not configured.
    pub fn for_unknown_provider(&self) -> RedeliveryOptions {
        // No provider has an empty name.
        self.for_provider("")
    }
}
