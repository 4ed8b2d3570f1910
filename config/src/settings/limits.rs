//! The sections that bound the work: pipeline, executor, circuit breaker.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units;

/// What providers do that say nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutorSettings {
    /// How many attempts may follow the first.
    #[schemars(range(max = 1000))]
    pub max_retries: u32,
    /// How long one attempt may take.
    #[serde(rename = "timeout_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub timeout: Duration,
    /// How many attempts of one provider run side by side.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent: u32,
}

impl Default for ExecutorSettings {
    fn default() -> Self {
        Self {
            max_retries: 3,
            timeout: Duration::from_secs(30),
            max_concurrent: 100,
        }
    }
}

/// How much is in flight, and what holds an action while it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineSettings {
    /// The most actions in flight in the process.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_in_flight: u32,
    /// The most bytes in flight in the process: what sets its working memory.
    #[schemars(range(min = 1, max = 4_294_967_295_u64))]
    pub max_in_flight_bytes: u64,
    /// The most actions that are decided together.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_batch: usize,
    /// Whether ids given by producers are leased while they are processed.
    pub exclusive: bool,
    /// What happens when the state backend cannot be asked.
    pub on_state_error: OnStateError,
    /// How long HTTP waits for room before it answers 503.
    #[serde(rename = "admission_timeout_ms", with = "units::milliseconds")]
    #[schemars(with = "u64", range(max = 60_000))]
    pub admission_timeout: Duration,
    /// How long HTTP remembers the outcome of an action that came with an id.
    #[serde(rename = "idempotency_ttl_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(max = 31_536_000))]
    pub idempotency_ttl: Duration,
    /// How long a lease lasts unless it is renewed.
    #[serde(rename = "lease_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3600))]
    pub lease: Duration,
    /// How long an action waits for an id or key that another one holds.
    #[serde(rename = "lease_wait_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(max = 3600))]
    pub lease_wait: Duration,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 10_000,
            max_in_flight_bytes: 256 << 20,
            max_batch: 256,
            exclusive: true,
            on_state_error: OnStateError::Retry,
            admission_timeout: Duration::from_millis(100),
            idempotency_ttl: Duration::from_secs(300),
            lease: Duration::from_secs(30),
            lease_wait: Duration::from_secs(5),
        }
    }
}

/// What happens to an action when the state backend cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStateError {
    /// It goes back to its source.
    #[default]
    Retry,
    /// It is delivered unchecked.
    Deliver,
}

/// When to stop asking a provider that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreakerSettings {
    /// Whether there are breakers.
    pub enabled: bool,
    /// Opens after so many retryable failures in a row.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failure_threshold: u32,
    /// Closes after so many successful probes.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub success_threshold: u32,
    /// How long it stays open before a probe.
    #[serde(rename = "recovery_timeout_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub recovery_timeout: Duration,
    /// What is different for single providers, by name.
    pub providers: BTreeMap<String, BreakerOverrides>,
}

impl Default for CircuitBreakerSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            failure_threshold: 5,
            success_threshold: 2,
            recovery_timeout: Duration::from_secs(60),
            providers: BTreeMap::new(),
        }
    }
}

/// What is different for one provider; what is not given is as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerOverrides {
    /// Whether this provider has a breaker.
    pub enabled: Option<bool>,
    /// Opens after so many retryable failures in a row.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failure_threshold: Option<u32>,
    /// Closes after so many successful probes.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub success_threshold: Option<u32>,
    /// How long it stays open before a probe.
    #[serde(
        rename = "recovery_timeout_seconds",
        with = "units::optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<u64>", range(min = 1, max = 86_400))]
    pub recovery_timeout: Option<Duration>,
}

/// The breaker of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Opens after so many retryable failures in a row.
    pub failure_threshold: u32,
    /// Closes after so many successful probes.
    pub success_threshold: u32,
    /// How long it stays open before a probe.
    pub recovery_timeout: Duration,
}

impl CircuitBreakerSettings {
    /// The breaker of the provider of this name, if it has one.
    pub fn for_provider(&self, name: &str) -> Option<Breaker> {
        let own = self.providers.get(name).cloned().unwrap_or_default();
        let enabled = own.enabled.unwrap_or(self.enabled);
        enabled.then(|| Breaker {
            failure_threshold: own.failure_threshold.unwrap_or(self.failure_threshold),
            success_threshold: own.success_threshold.unwrap_or(self.success_threshold),
            recovery_timeout: own.recovery_timeout.unwrap_or(self.recovery_timeout),
        })
    }
}
