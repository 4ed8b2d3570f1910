//! The options of the pipeline, and how the configuration file spells them: its sections `[executor]`, `[pipeline]`,
//! `[circuit_breaker]`, `[redelivery]`, `[silences]` and `[[state_machines]]`, and its keys of a provider. Reading the file
//! is left to `config`.

mod circuit_breaker;
mod redelivery;
mod silences;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Redactor, Sink, seconds};
use acteon_machines::MachineOptions;
use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::circuit_breaker::{BreakerOptions, BreakerOverrides, CircuitBreakerOptions};
pub use self::redelivery::{RedeliveryOptions, RedeliveryOverrides, RedeliverySchedules};
pub use self::silences::SilenceOptions;
use crate::templates::{OnTemplateError, ProviderTemplates};

/// The sections of the configuration file that belong to the pipeline. A field is named after its section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PipelineSections {
    pub executor: AttemptLimits,
    pub pipeline: PipelineOptions,
    pub circuit_breaker: CircuitBreakerOptions,
    pub redelivery: RedeliverySchedules,
    pub silences: SilenceOptions,
    /// `None` instead of a machine that could not be read, so that the others keep their positions.
    #[schemars(with = "Vec<MachineOptions>")]
    pub state_machines: Vec<Option<MachineOptions>>,
}

/// Limits of all providers that do not set their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline, deny_unknown_fields)]
pub struct AttemptLimits {
    /// The maximum number of attempts after the first.
    #[schemars(range(max = 1000))]
    pub max_retries: u32,
    /// The time limit of one attempt.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub timeout: Duration,
    /// The maximum number of concurrent attempts of one provider.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent: u32,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self {
            max_retries: 3,
            timeout: Duration::from_secs(30),
            max_concurrent: 100,
        }
    }
}

/// The keys of a provider that belong to the pipeline. Limits that are not given are those of `[executor]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProviderLimits {
    /// The limits of its attempts.
    #[serde(flatten)]
    pub attempts: AttemptLimits,
    /// The maximum number of waiting actions, including those waiting for a retry.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub queue: u32,
    /// The provider that delivers while the breaker of this one is open.
    pub fallback_provider: Option<String>,
    /// What happens to an action whose template fails.
    pub on_template_error: OnTemplateError,
}

impl Default for ProviderLimits {
    fn default() -> Self {
        Self {
            attempts: AttemptLimits::default(),
            queue: 1000,
            fallback_provider: None,
            on_template_error: OnTemplateError::default(),
        }
    }
}

/// How much may be in flight, and how long ids are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct PipelineOptions {
    /// The maximum number of actions in flight in the process.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_in_flight: u32,
    /// The maximum number of bytes in flight in the process. It determines the working memory.
    #[schemars(range(min = 1, max = 4_294_967_295_u64))]
    pub max_in_flight_bytes: u64,
    /// The maximum number of actions decided together.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_batch: usize,
    /// Whether ids given by producers are leased while their actions are processed.
    pub exclusive: bool,
    /// The reaction to a state backend that does not answer.
    pub on_state_error: OnStateError,
    /// How long a call of the state backend may take. A backend that takes longer counts as unreachable.
    #[serde(rename = "state_timeout_ms", with = "milliseconds")]
    #[schemars(with = "u64", range(min = 10, max = 60_000))]
    pub state_timeout: Duration,
    /// How long HTTP waits for room before it answers 503.
    #[serde(rename = "admission_timeout_ms", with = "milliseconds")]
    #[schemars(with = "u64", range(max = 60_000))]
    pub admission_timeout: Duration,
    /// How long HTTP remembers the outcome of an action that came with an id.
    #[serde(rename = "idempotency_ttl_seconds", with = "seconds")]
    #[schemars(with = "u64", range(max = 31_536_000))]
    pub idempotency_ttl: Duration,
    /// The length of a lease without renewal.
    #[serde(rename = "lease_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3600))]
    pub lease: Duration,
    /// How long an action waits for an id or dedup key held by another one.
    #[serde(rename = "lease_wait_seconds", with = "seconds")]
    #[schemars(with = "u64", range(max = 3600))]
    pub lease_wait: Duration,
    /// Whether audit records hold payloads. Set by `[audit]`.
    #[serde(skip)]
    pub store_payload: bool,
    /// When to redeliver actions whose provider is unknown. Set by `[redelivery]`.
    #[serde(skip)]
    pub redelivery: RedeliveryOptions,
    /// The bounds of silences. Set by `[silences]`.
    #[serde(skip)]
    pub silences: SilenceOptions,
    /// The names of the configured sources, as labels in metrics. Set by `[[sources]]`.
    #[serde(skip)]
    pub sources: Vec<CompactString>,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 10_000,
            max_in_flight_bytes: 256 << 20,
            max_batch: 256,
            exclusive: true,
            on_state_error: OnStateError::Retry,
            state_timeout: Duration::from_secs(5),
            admission_timeout: Duration::from_millis(100),
            idempotency_ttl: Duration::from_secs(300),
            lease: Duration::from_secs(30),
            lease_wait: Duration::from_secs(5),
            store_payload: true,
            redelivery: RedeliveryOptions::default(),
            silences: SilenceOptions::default(),
            sources: Vec::new(),
        }
    }
}

/// What to do with an action if the state backend does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStateError {
    /// Return it to its source. Nothing is lost, and nothing is delivered unchecked.
    #[default]
    Retry,
    /// Deliver it without dedup, throttle and lease.
    Deliver,
}

/// One provider and its options.
#[derive(Clone)]
pub struct ProviderOptions {
    /// The name used by actions and rules.
    pub name: CompactString,
    /// The sink that delivers.
    pub sink: Arc<dyn Sink>,
    /// The time limit of one attempt.
    pub timeout: Duration,
    /// The maximum number of attempts after the first.
    pub max_retries: u32,
    /// The maximum number of concurrent attempts.
    pub max_concurrent: u32,
    /// The maximum number of waiting actions, including those waiting for a retry.
    pub queue: u32,
    /// The maximum number of bytes of waiting and attempted actions.
    pub queue_bytes: u64,
    /// The provider that delivers while the breaker is open or this provider is at fault.
    pub fallback: Option<CompactString>,
    /// When to stop calling the sink; `None`: never.
    pub breaker: Option<BreakerOptions>,
    /// When to redeliver actions.
    pub redelivery: RedeliveryOptions,
    /// Hides fields of a refusal in the attempt history.
    pub redactor: Redactor,
    /// The templates of the payloads that the sink receives.
    pub templates: ProviderTemplates,
}

impl ProviderOptions {
    /// A provider with the defaults of the configuration.
    pub fn new(name: &str, sink: Arc<dyn Sink>) -> Self {
        Self::with_limits(name, sink, &ProviderLimits::default())
    }

    /// A provider with these limits, and otherwise the defaults of the configuration.
    pub fn with_limits(name: &str, sink: Arc<dyn Sink>, limits: &ProviderLimits) -> Self {
        Self {
            name: name.into(),
            sink,
            timeout: limits.attempts.timeout,
            max_retries: limits.attempts.max_retries,
            max_concurrent: limits.attempts.max_concurrent,
            queue: limits.queue,
            queue_bytes: 128 << 20,
            fallback: limits.fallback_provider.as_deref().map(Into::into),
            breaker: Some(BreakerOptions::default()),
            redelivery: RedeliveryOptions::default(),
            redactor: Redactor::default(),
            templates: ProviderTemplates {
                on_error: limits.on_template_error,
                ..ProviderTemplates::default()
            },
        }
    }
}

/// Whole milliseconds, as `admission_timeout_ms` has them.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests;
