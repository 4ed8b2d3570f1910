//! What can be set. Where the values come from is the configuration's business.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Redactor, Sink};
use compact_str::CompactString;

/// The settings of the pipeline as a whole.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Ids given by producers are leased while they are processed.
    pub exclusive: bool,
    /// How long a lease lasts unless renewed.
    pub lease: Duration,
    /// How long an action waits for an id or dedup key that another one holds.
    pub lease_wait: Duration,
    /// What happens when the state backend cannot be asked.
    pub on_state_error: OnStateError,
    /// How long the outcome of an answered action with an id is remembered.
    pub idempotency_ttl: Duration,
    /// Whether audit records hold payloads.
    pub store_payload: bool,
    /// When actions are tried anew whose provider is unknown.
    pub redelivery: RedeliveryOptions,
}

/// When an action is tried anew that a broker's source could not have delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeliveryOptions {
    /// How long to wait before each redelivery; the last wait repeats.
    pub schedule: Arc<[Duration]>,
    /// From the first attempt on: how long it is tried.
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

/// What happens to an action when the state backend cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStateError {
    /// It goes back to its source: nothing is lost, nothing is delivered unchecked.
    Retry,
    /// It is delivered without dedup, throttle and lease.
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
        }
    }
}

/// One provider and how it is to be treated.
#[derive(Clone)]
pub struct ProviderOptions {
    /// What actions and rules call it.
    pub name: CompactString,
    /// What delivers.
    pub sink: Arc<dyn Sink>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many attempts may follow the first.
    pub max_retries: u32,
    /// How many attempts run side by side.
    pub max_concurrent: u32,
    /// How many actions may wait, those waiting for a retry included.
    pub queue: u32,
    /// How many bytes of actions that wait or are being attempted it may keep.
    pub queue_bytes: u64,
    /// Who delivers while the breaker is open.
    pub fallback: Option<CompactString>,
    /// When to stop trying; `None`: never.
    pub breaker: Option<BreakerOptions>,
    /// When actions are tried anew.
    pub redelivery: RedeliveryOptions,
    /// What the attempt history hides of a refusal.
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
    /// Opens after so many retryable failures in a row.
    pub failure_threshold: u32,
    /// Opens when so large a part of the last hundred attempts failed.
    pub failure_rate: f64,
    /// Closes after so many successful probes.
    pub success_threshold: u32,
    /// How long it stays open before it lets a probe through.
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
