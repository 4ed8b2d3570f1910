//! `[redelivery]`: when an action that a broker brought, and that could not be delivered, is tried anew.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units;

/// When actions of brokers are tried anew, once their attempts are used up or their provider cannot take them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedeliverySettings {
    /// How long to wait before each redelivery. The last wait repeats.
    #[schemars(length(min = 1, max = 100), inner(range(min = 1, max = 604_800)))]
    pub schedule_seconds: Vec<u64>,
    /// How long an action is tried, from its first attempt on. Then it becomes a dead letter.
    #[serde(rename = "give_up_after_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(max = 604_800))]
    pub give_up_after: Duration,
    /// What is different for single providers, by name.
    pub providers: BTreeMap<String, RedeliveryOverrides>,
}

impl Default for RedeliverySettings {
    fn default() -> Self {
        Self {
            schedule_seconds: vec![5, 30, 120, 600, 1800, 3600],
            give_up_after: Duration::from_secs(86_400),
            providers: BTreeMap::new(),
        }
    }
}

/// What is different for one provider; what is not given is as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedeliveryOverrides {
    /// How long to wait before each redelivery. The last wait repeats.
    #[schemars(length(min = 1, max = 100), inner(range(min = 1, max = 604_800)))]
    pub schedule_seconds: Option<Vec<u64>>,
    /// How long an action is tried, from its first attempt on.
    #[serde(
        rename = "give_up_after_seconds",
        with = "units::optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<u64>", range(max = 604_800))]
    pub give_up_after: Option<Duration>,
}

/// When actions of one provider are tried anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redelivery {
    /// How long to wait before each redelivery. The last wait repeats.
    pub schedule: Vec<Duration>,
    /// How long an action is tried.
    pub give_up_after: Duration,
}

impl RedeliverySettings {
    /// When actions of the provider of this name are tried anew.
    pub fn for_provider(&self, name: &str) -> Redelivery {
        let own = self.providers.get(name).cloned().unwrap_or_default();
        let schedule = own.schedule_seconds.as_ref();
        let schedule = schedule.unwrap_or(&self.schedule_seconds).iter();
        Redelivery {
            schedule: schedule.copied().map(Duration::from_secs).collect(),
            give_up_after: own.give_up_after.unwrap_or(self.give_up_after),
        }
    }
}
