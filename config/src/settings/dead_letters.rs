//! `[dead_letters]`: how many are kept, for each kind alike or apart.

use std::num::NonZeroUsize;
use std::time::Duration;

use acteon_core::dead_letter::DeadLetterBound;
use acteon_core::{DeadLetterBounds, DeadLetterKind, FullPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units;

/// How many dead letters are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterSettings {
    /// The most of each kind.
    #[schemars(with = "u64", range(min = 1, max = 1_000_000_000))]
    pub max: NonZeroUsize,
    /// How long they are kept.
    #[serde(rename = "retention_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3_153_600_000_u64))]
    pub retention: Duration,
    /// What happens when there is no room for one more.
    pub when_full: FullPolicy,
    /// What is different for those that could not be decoded.
    pub poison: DeadLetterOverrides,
    /// What is different for those that could not be delivered.
    pub exhausted: DeadLetterOverrides,
}

impl Default for DeadLetterSettings {
    fn default() -> Self {
        let DeadLetterBound {
            max,
            retention,
            when_full,
        } = DeadLetterBound::default();
        Self {
            max,
            retention,
            when_full,
            poison: DeadLetterOverrides::default(),
            exhausted: DeadLetterOverrides::default(),
        }
    }
}

/// What is different for one kind; what is not given is as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterOverrides {
    /// The most of this kind.
    #[schemars(with = "Option<u64>", range(min = 1, max = 1_000_000_000))]
    pub max: Option<NonZeroUsize>,
    /// How long they are kept.
    #[serde(
        rename = "retention_seconds",
        with = "units::optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<u64>", range(min = 1, max = 3_153_600_000_u64))]
    pub retention: Option<Duration>,
    /// What happens when there is no room for one more.
    pub when_full: Option<FullPolicy>,
}

impl DeadLetterSettings {
    /// The bound of each kind.
    pub fn bounds(&self) -> DeadLetterBounds {
        DeadLetterBounds {
            poison: self.bound(DeadLetterKind::Poison),
            exhausted: self.bound(DeadLetterKind::Exhausted),
        }
    }

    fn bound(&self, kind: DeadLetterKind) -> DeadLetterBound {
        let own = match kind {
            DeadLetterKind::Poison => &self.poison,
            DeadLetterKind::Exhausted => &self.exhausted,
        };
        DeadLetterBound {
            max: own.max.unwrap_or(self.max),
            retention: own.retention.unwrap_or(self.retention),
            when_full: own.when_full.unwrap_or(self.when_full),
        }
    }
}
