//! `[dead_letters]`: how many are kept and for how long, with overrides for each kind.

use std::num::NonZeroUsize;
use std::time::Duration;

use acteon_core::dead_letter::DeadLetterBound;
use acteon_core::{DeadLetterBounds, DeadLetterKind, FullPolicy, seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits on dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterSettings {
    /// The maximum number of each kind.
    #[schemars(with = "u64", range(min = 1, max = 1_000_000_000))]
    pub max: NonZeroUsize,
    /// How long they are kept.
    #[serde(rename = "retention_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3_153_600_000_u64))]
    pub retention: Duration,
    /// What happens at the maximum.
    pub when_full: FullPolicy,
    /// Overrides for messages that could not be decoded.
    pub poison: DeadLetterOverrides,
    /// Overrides for actions that could not be delivered.
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

/// Overrides for one kind. A missing key keeps the value that applies to all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterOverrides {
    /// The maximum number of this kind.
    #[schemars(with = "Option<u64>", range(min = 1, max = 1_000_000_000))]
    pub max: Option<NonZeroUsize>,
    /// How long they are kept.
    #[serde(
        rename = "retention_seconds",
        with = "seconds::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<u64>", range(min = 1, max = 3_153_600_000_u64))]
    pub retention: Option<Duration>,
    /// What happens at the maximum.
    pub when_full: Option<FullPolicy>,
}

impl DeadLetterSettings {
    /// The limits of each kind.
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
