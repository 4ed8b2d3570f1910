//! How a provider has been doing: its breaker, whether it wants to be left alone, and what `/v1/providers/health` tells
//! of it.

use std::collections::VecDeque;
use std::time::Duration;

use acteon_core::health::{BreakerState, LastError};
use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, SinkError};
use jiff::Timestamp;
use tokio::time::Instant;

use super::breaker::{Breaker, Pass, Recent};
use super::retry::LONGEST;
use crate::options::BreakerOptions;

/// How many latencies the quantiles are taken from.
const LATENCIES_MAX: usize = 100;

/// Whether a provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Granted(Pass),
    /// It has asked to be left alone until then.
    Paused {
        until: Instant,
    },
    /// The breaker is open, or waits for its probe. Ask again then.
    Open {
        until: Instant,
    },
}

pub(crate) struct ProviderStats {
    pub(super) breaker: Breaker,
    /// The provider has asked to be left alone until then.
    pub(super) paused_until: Option<Instant>,
    pub(super) deliveries: u64,
    pub(super) failures: u64,
    pub(super) recent: Recent,
    pub(super) last_error: Option<LastError>,
    latencies: VecDeque<Duration>,
}

impl ProviderStats {
    pub(super) fn new(breaker: Option<BreakerOptions>) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            paused_until: None,
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
        let pass = Pass::Free {
            period: self.breaker.period(),
        };
        for _ in 0..count.min(LATENCIES_MAX as u32) {
            self.recent.push(0);
            self.remember(Duration::ZERO);
            self.breaker.answered(pass);
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
        let now = Instant::now();
        match error.class {
            SinkErrorClass::Transient { retry_after } => {
                self.breaker.failed(pass, now);
                if error.code == FailureCode::RateLimited {
                    let until = retry_after.and_then(|wait| now.checked_add(wait));
                    self.paused_until = self.paused_until.max(until);
                }
            }
            SinkErrorClass::Permanent => self.breaker.answered(pass),
            SinkErrorClass::ProviderFault => self.breaker.blame(pass, now),
        }
    }

    /// Whether the provider may be asked now.
    pub(super) fn ask(&mut self, now: Instant) -> Permission {
        if let Some(until) = self.paused_until {
            if now < until {
                return Permission::Paused { until };
            }
            self.paused_until = None;
        }
        match self.breaker.ask(now) {
            Ok(pass) => Permission::Granted(pass),
            Err(until) => Permission::Open { until },
        }
    }

    /// When the sink may be asked again, where that is later than `now`.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        let until = self.paused_until.max(self.breaker.open_until())?;
        (now < until).then_some(until)
    }

    /// True when nobody is to wait here for an attempt.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        let is_later = |until: Instant| now < until;
        self.breaker.is_held()
            || self.breaker.open_until().is_some_and(is_later)
            || self.paused_until.is_some_and(|until| now + LONGEST < until)
    }

    /// True when every attempt is permitted, without a probe.
    pub(super) fn is_clear(&self) -> bool {
        self.paused_until.is_none() && self.breaker.state() == BreakerState::Closed
    }

    pub(super) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// The mean of the last attempts, in milliseconds.
    pub(super) fn latency_avg_ms(&self) -> Option<f64> {
        let count = u32::try_from(self.latencies.len()).ok()?;
        let all: Duration = self.latencies.iter().sum();
        Some(all.checked_div(count)?.as_secs_f64() * 1e3)
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
