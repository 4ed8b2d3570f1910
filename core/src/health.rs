//! The readiness of the parts of the process, and the health of each provider.

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::action::Action;
use crate::outcome::{Failure, ProviderResponse};

/// One part of the process in `/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Such as `state`, `audit` or `source:orders`.
    #[schema(value_type = String)]
    pub name: CompactString,
    /// True if it works.
    pub ready: bool,
    /// The problem, without secrets; `null` if there is none.
    pub detail: Option<String>,
}

impl Part {
    /// A part that works.
    pub fn ready(name: impl Into<CompactString>) -> Self {
        Self {
            name: name.into(),
            ready: true,
            detail: None,
        }
    }

    /// A part that does not work.
    pub fn unready(name: impl Into<CompactString>, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ready: false,
            detail: Some(detail.into()),
        }
    }
}

/// Reports the readiness of the parts of the process.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Checks all parts, each within a time limit.
    async fn parts(&self) -> Vec<Part>;
}

/// Reports the health of the providers, controls their breakers and tests them.
#[async_trait]
pub trait ProviderAdmin: Send + Sync {
    /// All providers, sorted by name.
    fn health(&self) -> Vec<ProviderHealth>;

    /// Opens or closes the breaker of a provider, and returns its health. `None` if no provider has this name.
    fn set_breaker(&self, name: &str, to: BreakerOverride) -> Option<ProviderHealth>;

    /// Makes one attempt to deliver an action through a provider, whatever its breaker and its queue. `None` if no
    /// provider has this name.
    async fn test(&self, name: &str, action: &Action) -> Option<Result<ProviderResponse, Failure>>;
}

/// How an operator sets a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerOverride {
    /// It stays open until an operator closes it.
    Open,
    /// It closes and forgets earlier failures.
    Closed,
}

/// The health of one provider.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ProviderHealth {
    pub name: CompactString,
    pub breaker: BreakerState,
    /// Actions waiting in its queue, including those waiting for a retry.
    pub queued: usize,
    /// Attempts running now.
    pub in_flight: usize,
    /// Actions waiting for redelivery, as far as this process knows.
    pub redelivering: usize,
    pub deliveries: u64,
    pub failures: u64,
    /// The fraction of the last hundred attempts that succeeded; `null` before the first.
    pub success_rate: Option<f64>,
    /// `None` before the first attempt.
    pub latency: Option<Latency>,
    pub last_error: Option<LastError>,
}

/// The latencies of the last hundred attempts, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Latency {
    pub avg_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

/// The last failure.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct LastError {
    pub message: CompactString,
    pub at: Timestamp,
}

/// Whether deliveries are attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Deliveries are attempted.
    Closed,
    /// No delivery is attempted.
    Open,
    /// One delivery at a time is attempted, to test the provider.
    HalfOpen,
}

impl BreakerState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The name on the wire and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}
