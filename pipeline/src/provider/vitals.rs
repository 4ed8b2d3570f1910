//! How a provider has been doing: its breaker, and what `/v1/providers/health` tells of it.

use std::collections::VecDeque;
use std::time::Duration;

use acteon_core::SinkError;
use acteon_core::health::{BreakerState, LastError};
use jiff::Timestamp;
use tokio::time::Instant;

use super::breaker::{Breaker, Pass, Recent};
use crate::options::BreakerOptions;

/// How many latencies the quantiles are taken from.
const LATENCIES_MAX: usize = 100;

pub(crate) struct Vitals {
    pub(super) breaker: Breaker,
    pub(super) deliveries: u64,
    pub(super) failures: u64,
    pub(super) recent: Recent,
    pub(super) last_error: Option<LastError>,
    latencies: VecDeque<Duration>,
}

impl Vitals {
    pub(super) fn new(breaker: Option<BreakerOptions>) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            deliveries: 0,
            failures: 0,
            recent: Recent::default(),
            last_error: None,
            latencies: VecDeque::with_capacity(LATENCIES_MAX),
        }
    }

    /// The sink took the action.
    pub(super) fn succeeded(&mut self, pass: Pass, took: Duration) {
        self.deliveries += 1;
        self.recent.push(0);
        self.remember(took);
        self.breaker.answered(pass);
    }

    /// The sink took so many actions without waiting.
    pub(super) fn succeeded_at_once(&mut self, count: u32) {
        self.deliveries += u64::from(count);
        // What is told of the last attempts goes no further back.
        for _ in 0..count.min(LATENCIES_MAX as u32) {
            self.recent.push(0);
            self.remember(Duration::ZERO);
            self.breaker.answered(Pass::Free);
        }
    }

    /// The sink did not take it. Only what may pass by itself speaks against the provider.
    pub(super) fn failed(&mut self, pass: Pass, took: Duration, error: &SinkError, at: Timestamp) {
        self.failures += 1;
        self.recent.push(1);
        self.remember(took);
        self.last_error = Some(LastError {
            message: error.message.clone(),
            at,
        });
        if error.is_retryable() {
            self.breaker.failed(pass, Instant::now());
        } else {
            self.breaker.answered(pass);
        }
    }

    pub(super) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// The latency below which this part (0..=1) of the last attempts stayed, in milliseconds.
    pub(super) fn latency_ms(&self, part: f64) -> Option<f64> {
        let mut sorted: Vec<_> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list of a hundred"
        )]
        let place = (part * last as f64).round() as usize;
        sorted.get(place).map(|took| took.as_secs_f64() * 1e3)
    }

    fn remember(&mut self, took: Duration) {
        if self.latencies.len() == LATENCIES_MAX {
            self.latencies.pop_front();
        }
        self.latencies.push_back(took);
    }
}
