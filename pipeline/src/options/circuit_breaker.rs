//! `[circuit_breaker]`: when to stop calling a failing provider, and the overrides of single providers.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::seconds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When to stop calling a provider that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct CircuitBreakerOptions {
    /// Whether providers have breakers.
    pub enabled: bool,
    /// Opens after this many retryable failures in a row.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failure_threshold: u32,
    /// Closes after this many successful probes.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub success_threshold: u32,
    /// How long it stays open before a probe.
    #[serde(rename = "recovery_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub recovery_timeout: Duration,
    /// Overrides for single providers, by name.
    pub providers: BTreeMap<String, BreakerOverrides>,
}

impl Default for CircuitBreakerOptions {
    fn default() -> Self {
        let BreakerOptions {
            failure_threshold,
            success_threshold,
            recovery_timeout,
            failure_rate: _,
        } = BreakerOptions::default();
        Self {
            enabled: true,
            failure_threshold,
            success_threshold,
            recovery_timeout,
            providers: BTreeMap::new(),
        }
    }
}

/// Overrides for one provider. A missing key keeps the value that applies to all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerOverrides {
    /// Whether this provider has a breaker.
    pub enabled: Option<bool>,
    /// Opens after this many retryable failures in a row.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failure_threshold: Option<u32>,
    /// Closes after this many successful probes.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub success_threshold: Option<u32>,
    /// How long it stays open before a probe.
    #[serde(
        rename = "recovery_timeout_seconds",
        with = "seconds::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<u64>", range(min = 1, max = 86_400))]
    pub recovery_timeout: Option<Duration>,
}

/// When the breaker of one provider opens and closes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerOptions {
    /// Opens after this many retryable failures in a row.
    pub failure_threshold: u32,
    /// Opens if at least this fraction of the last hundred attempts failed.
    pub failure_rate: f64,
    /// Closes after this many successful probes.
    pub success_threshold: u32,
    /// How long it stays open before it allows a probe.
    pub recovery_timeout: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            failure_rate: 0.9,
            success_threshold: 2,
            recovery_timeout: Duration::from_secs(60),
        }
    }
}

impl CircuitBreakerOptions {
    /// The breaker of the named provider, if it has one.
    pub fn for_provider(&self, name: &str) -> Option<BreakerOptions> {
        let own = self.providers.get(name).cloned().unwrap_or_default();
        let enabled = own.enabled.unwrap_or(self.enabled);
        enabled.then(|| BreakerOptions {
            failure_threshold: own.failure_threshold.unwrap_or(self.failure_threshold),
            success_threshold: own.success_threshold.unwrap_or(self.success_threshold),
            recovery_timeout: own.recovery_timeout.unwrap_or(self.recovery_timeout),
            ..BreakerOptions::default()
        })
    }
}
