//! How the parts of the process feel: readiness, and the health of each provider.

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// One part of the process in `/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Such as `state`, `audit` or `source:orders`.
    #[schema(value_type = String)]
    pub name: CompactString,
    /// True when it does its work.
    pub ready: bool,
    /// What is wrong, without secrets; nothing when all is well.
    pub detail: Option<String>,
}

impl Part {
    /// A part that does its work.
    pub fn ready(name: impl Into<CompactString>) -> Self {
        Self {
            name: name.into(),
            ready: true,
            detail: None,
        }
    }

    /// A part that does not.
    pub fn unready(name: impl Into<CompactString>, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ready: false,
            detail: Some(detail.into()),
        }
    }
}

/// Whoever can say how the parts are.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// All parts, each asked for a bounded time.
    async fn parts(&self) -> Vec<Part>;
}

/// Whoever can say how the providers are.
pub trait ProviderAdmin: Send + Sync {
    /// All providers, sorted by name.
    fn health(&self) -> Vec<ProviderHealth>;

    /// Opens or closes the breaker of one, and tells how it is then; nothing when there is none of this name.
    fn set_breaker(&self, name: &str, to: BreakerOverride) -> Option<ProviderHealth>;
}

/// What an operator makes of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerOverride {
    /// Nothing is tried until it is closed by hand.
    Open,
    /// As if nothing had failed.
    Closed,
}

/// How one provider is.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ProviderHealth {
    pub name: CompactString,
    pub breaker: BreakerState,
    /// Actions waiting in its queue, waiting for a retry included.
    pub queued: usize,
    /// Attempts running now.
    pub in_flight: usize,
    /// Actions that wait to be redelivered, as far as this process knows.
    pub redelivering: usize,
    pub deliveries: u64,
    pub failures: u64,
    /// Of the last hundred attempts; `null` before the first.
    pub success_rate: Option<f64>,
    /// Of the last hundred attempts, in milliseconds.
    pub latency_avg_ms: Option<f64>,
    pub latency_p50_ms: Option<f64>,
    pub latency_p95_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    pub last_error: Option<LastError>,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct LastError {
    pub message: CompactString,
    pub at: Timestamp,
}

/// Whether deliveries are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// They are.
    Closed,
    /// They are not.
    Open,
    /// One is, to see.
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
