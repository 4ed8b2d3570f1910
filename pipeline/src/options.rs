//! The options of the pipeline. Where their values come from is left to the configuration.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Redactor, Sink};
use compact_str::CompactString;

/// The options of the whole pipeline.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Leases ids given by producers while their actions are processed.
    pub exclusive: bool,
    /// The length of a lease without renewal.
    pub lease: Duration,
    /// How long an action waits for an id or dedup key held by another one.
    pub lease_wait: Duration,
    /// The reaction to a state backend that does not answer.
    pub on_state_error: OnStateError,
    /// How long to remember the outcome of an action with a producer's id whose caller waited for it.
    pub idempotency_ttl: Duration,
    /// Whether audit records hold payloads.
    pub store_payload: bool,
    /// When to redeliver actions whose provider is unknown.
    pub redelivery: RedeliveryOptions,
    /// The names of the configured sources, as labels in metrics.
    pub sources: Vec<CompactString>,
}

/// When to redeliver an action from a broker that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeliveryOptions {
    /// The wait before each redelivery. The last wait repeats.
    pub schedule: Arc<[Duration]>,
    /// How long to keep trying, counted from the first attempt.
    pub give_up_after: Duration,
}

impl Default for RedeliveryOptions {
    fn default() -> Self {
        Self {
            schedule: [5, 30, 120, 600, 1800, 3600]
                .map(Duration::from_secs)
                .into(),
            give_up_after: Duration::from_secs(86_400),
        }
    }
}

/// What to do with an action if the state backend does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStateError {
    /// Return it to its source. Nothing is lost, and nothing is delivered unchecked.
    Retry,
    /// Deliver it without dedup, throttle and lease.
    Deliver,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            exclusive: true,
            lease: Duration::from_secs(30),
            lease_wait: Duration::from_secs(5),
            on_state_error: OnStateError::Retry,
            idempotency_ttl: Duration::from_secs(300),
            store_payload: true,
            redelivery: RedeliveryOptions::default(),
            sources: Vec::new(),
        }
    }
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
}

impl ProviderOptions {
    /// A provider with the defaults of the configuration.
    pub fn new(name: &str, sink: Arc<dyn Sink>) -> Self {
        Self {
            name: name.into(),
            sink,
            timeout: Duration::from_secs(30),
            max_retries: 3,
            max_concurrent: 100,
            queue: 1000,
            queue_bytes: 128 << 20,
            fallback: None,
            breaker: Some(BreakerOptions::default()),
            redelivery: RedeliveryOptions::default(),
            redactor: Redactor::default(),
        }
    }
}

/// When a breaker opens and closes.
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
