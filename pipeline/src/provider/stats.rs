//! The state of a provider: its breaker, the pause that it asked for, and the figures of `/v1/providers/health`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use acteon_core::health::{BreakerOverride, BreakerState, LastError, Latency};
use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, SinkError};
use compact_str::format_compact;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::breaker::{Breaker, Pass, Recent};
use super::retry::LONGEST;
use crate::options::BreakerOptions;

/// The number of latencies from which quantiles are computed.
const LATENCIES_MAX: usize = 100;

/// The longest pause that a provider may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Whether a provider may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Granted(Pass),
    /// It asked for a pause until then.
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
    /// The provider asked for a pause until then.
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

    /// The sink accepted an action.
    pub(super) fn succeeded(&mut self, pass: Pass, took: Duration) {
        self.deliveries += 1;
        self.recent.push(0);
        self.remember(took);
        self.breaker.answered(pass);
    }

    /// The sink accepted this many actions without waiting.
    pub(super) fn succeeded_at_once(&mut self, count: u32) {
        self.deliveries += u64::from(count);
        // The figures cover only the last attempts.
        let pass = Pass::Free {
            period: self.breaker.period(),
        };
        for _ in 0..count.min(LATENCIES_MAX as u32) {
            self.recent.push(0);
            self.remember(Duration::ZERO);
            self.breaker.answered(pass);
        }
    }

    /// The sink did not accept an action. Only transient failures count against the provider.
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
            SinkErrorClass::Transient { .. } if error.for_destination => {
                self.breaker.answered(pass);
            }
            SinkErrorClass::Transient { retry_after } => {
                self.breaker.failed(pass, now);
                if error.code == FailureCode::RateLimited {
                    let until = retry_after.map(|wait| now + wait.min(PAUSE_MAX));
                    self.paused_until = self.paused_until.max(until);
                }
            }
            // The action could not be written, so the provider was not asked.
            SinkErrorClass::Permanent if error.code == FailureCode::Serialization => {
                self.breaker.abandoned(pass);
            }
            SinkErrorClass::Deferred | SinkErrorClass::Permanent => self.breaker.answered(pass),
            SinkErrorClass::ProviderFault => self.breaker.provider_fault(pass, now),
        }
    }

    /// Opens the breaker by hand, or closes it. Closing it ends a pause as well.
    pub(super) fn set(&mut self, to: BreakerOverride) {
        self.breaker.set(to);
        if to == BreakerOverride::Closed {
            self.paused_until = None;
        }
    }

    /// How long the provider still asks for no calls.
    pub(super) fn pause_left(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// The last error, with the pause that the provider has asked for.
    pub(super) fn shown_error(&self) -> Option<LastError> {
        let mut error = self.last_error.clone()?;
        if let Some(left) = self.pause_left() {
            let seconds = left.as_secs() + 1;
            error.message = format_compact!(
                "{}; it asked for a pause and gets no calls for another {seconds} s",
                error.message
            );
        }
        Some(error)
    }

    /// Whether the provider may be called now.
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

    /// When the sink may be called again, if that is after `now`.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        let until = self.paused_until.max(self.breaker.open_until())?;
        (now < until).then_some(until)
    }

    /// True if no action may wait here for an attempt.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        let is_later = |until: Instant| now < until;
        self.breaker.is_held()
            || self.breaker.open_until().is_some_and(is_later)
            || self.paused_until.is_some_and(|until| now + LONGEST < until)
    }

    /// True if every attempt is permitted, without a probe.
    pub(super) fn is_clear(&self) -> bool {
        self.paused_until.is_none() && self.breaker.state() == BreakerState::Closed
    }

    pub(super) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// The latencies of the last attempts. `None` before the first.
    pub(super) fn latency(&self) -> Option<Latency> {
        let mut sorted: Vec<_> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let count = u32::try_from(sorted.len()).ok()?;
        let all: Duration = sorted.iter().sum();
        Some(Latency {
            avg_ms: millis(all.checked_div(count)?),
            p50_ms: millis(quantile(&sorted, 0.5)?),
            p95_ms: millis(quantile(&sorted, 0.95)?),
            p99_ms: millis(quantile(&sorted, 0.99)?),
        })
    }

    /// The mean of the last latencies. Zero before the first attempt.
    pub(super) fn mean_latency(&self) -> Duration {
        let count = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        let all: Duration = self.latencies.iter().sum();
        all.checked_div(count).unwrap_or_default()
    }

    fn remember(&mut self, took: Duration) {
        if self.latencies.len() == LATENCIES_MAX {
            self.latencies.pop_front();
        }
        self.latencies.push_back(took);
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The value below which this part of the sorted values lies. `part` is in 0..=1.
fn quantile(sorted: &[Duration], part: f64) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position in a list of a hundred"
    )]
    let position = (part * last as f64).round() as usize;
    sorted.get(position).copied()
}

/// The statistics behind their lock. Copies of two values are readable without it: the inline path reads them for each
/// action.
pub(super) struct SharedStats {
    stats: Mutex<ProviderStats>,
    /// True while every attempt is permitted.
    is_clear: AtomicBool,
    /// The breaker's period.
    period: AtomicU32,
}

/// The effect of a change on the breaker.
pub(super) struct BreakerChange<T> {
    pub(super) result: T,
    pub(super) before: BreakerState,
    pub(super) after: BreakerState,
    pub(super) pause: PauseChange,
}

/// The effect of a change on the pause that the provider asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PauseChange {
    Unchanged,
    /// It lasts this long.
    Start(Duration),
    /// It ended before its time.
    End,
}

impl SharedStats {
    pub(super) fn new(breaker: Option<BreakerOptions>) -> Self {
        Self {
            stats: Mutex::new(ProviderStats::new(breaker)),
            is_clear: AtomicBool::new(true),
            period: AtomicU32::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ProviderStats> {
        self.stats.lock()
    }

    /// True while every attempt is permitted. Takes no lock.
    pub(super) fn is_clear(&self) -> bool {
        self.is_clear.load(SeqCst)
    }

    /// The pass of a closed breaker. Takes no lock.
    pub(super) fn free_pass(&self) -> Option<Pass> {
        self.is_clear().then(|| Pass::Free {
            period: self.period.load(SeqCst),
        })
    }

    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut ProviderStats) -> T,
    ) -> BreakerChange<T> {
        let mut stats = self.stats.lock();
        let before = stats.breaker_state();
        let was_paused = stats.pause_left().is_some();
        let result = change(&mut stats);
        let after = stats.breaker_state();
        let is_clear = stats.is_clear();
        if is_clear != self.is_clear() || before != after {
            self.period.store(stats.breaker.period(), SeqCst);
            self.is_clear.store(is_clear, SeqCst);
        }
        let pause = match stats.pause_left() {
            Some(left) if !was_paused => PauseChange::Start(left),
            None if was_paused => PauseChange::End,
            _ => PauseChange::Unchanged,
        };
        BreakerChange {
            result,
            before,
            after,
            pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deferred_failures_do_not_open_the_breaker() {
        let options = BreakerOptions {
            failure_threshold: 2,
            failure_rate: 0.5,
            success_threshold: 1,
            recovery_timeout: Duration::from_secs(60),
        };
        let mut stats = ProviderStats::new(Some(options));
        let pass = Pass::Free { period: 0 };
        let deferred = SinkError::deferred(FailureCode::ExecutionFailed, "later");
        let transient = SinkError::transient(FailureCode::ExecutionFailed, "broken");
        for error in [&deferred, &deferred, &transient, &deferred, &transient] {
            stats.failed(pass, Duration::ZERO, error, Timestamp::UNIX_EPOCH);
            assert_eq!(stats.breaker_state(), BreakerState::Closed);
        }
        stats.failed(pass, Duration::ZERO, &transient, Timestamp::UNIX_EPOCH);
        assert_eq!(stats.breaker_state(), BreakerState::Open);
    }
}
