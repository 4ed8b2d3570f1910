//! Limits that are asked and not held: the rate of a caller or a tenant.

use std::time::Duration;

use super::StateKey;

/// A maximum number of requests in any window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The key, owned by the limit.
    pub key: StateKey,
    /// The maximum count in any window.
    pub max_count: u32,
    /// The length of the window.
    pub window: Duration,
}

/// The answer to one request under a [`RateLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitAnswer {
    /// The maximum count in any window.
    pub limit: u32,
    /// How many places are left after this request.
    pub remaining: u32,
    /// After which time all places are free, if none is taken meanwhile.
    pub reset: Duration,
    /// `None` if the request passes; otherwise the time after which it will.
    pub retry_after: Option<Duration>,
}
