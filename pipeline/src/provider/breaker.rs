//! Stops asking a provider that keeps failing, and finds out when it is well again. Pure: time is an argument.
//!
//! The circuit breaker of Nygard, "Release It!": closed, open, half-open, with one probe at a time.

use acteon_core::health::BreakerState;
use tokio::time::Instant;

use crate::options::BreakerOptions;

/// A right to ask the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The breaker is closed, or there is none.
    Free,
    /// The one attempt that shows whether the provider is well again.
    Probe,
}

/// The breaker of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    options: Option<BreakerOptions>,
    state: State,
    failures_in_a_row: u32,
    recent: Recent,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool, successes: u32 },
}

impl Breaker {
    pub(crate) fn new(options: Option<BreakerOptions>) -> Self {
        Self {
            options,
            state: State::Closed,
            failures_in_a_row: 0,
            recent: Recent::default(),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether the provider may be asked. The clock is read only when the breaker is open.
    pub(crate) fn ask(&mut self, now: impl FnOnce() -> Instant) -> Option<Pass> {
        match &mut self.state {
            State::Closed => return Some(Pass::Free),
            State::Open { until } if now() < *until => return None,
            State::HalfOpen { probing: true, .. } => return None,
            State::HalfOpen { probing, .. } => *probing = true,
            State::Open { .. } => {
                self.state = State::HalfOpen {
                    probing: true,
                    successes: 0,
                };
            }
        }
        Some(Pass::Probe)
    }

    /// The provider answered, be it that it refused the action.
    pub(crate) fn answered(&mut self, pass: Pass) {
        self.failures_in_a_row = 0;
        self.recent.push(0);
        let Some(options) = self.options else { return };
        if let (State::HalfOpen { successes, .. }, Pass::Probe) = (self.state, pass) {
            let successes = successes + 1;
            self.state = if successes >= options.success_threshold {
                self.recent = Recent::default();
                State::Closed
            } else {
                State::HalfOpen {
                    probing: false,
                    successes,
                }
            };
        }
    }

    /// The provider failed in a way that trying again may mend.
    pub(crate) fn failed(&mut self, pass: Pass, now: Instant) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.recent.push(1);
        let Some(options) = self.options else { return };
        let opens = match (self.state, pass) {
            (State::HalfOpen { .. }, Pass::Probe) => true,
            (State::Closed, _) => {
                self.failures_in_a_row >= options.failure_threshold
                    || self.recent.fails_at(options.failure_rate)
            }
            _ => false,
        };
        if opens {
            self.failures_in_a_row = 0;
            self.state = State::Open {
                until: now + options.recovery_timeout,
            };
        }
    }
}

/// How the last hundred attempts ended, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recent {
    failed: u128,
    count: u32,
}

impl Recent {
    const SIZE: u32 = 100;

    /// `failed` is 1 for a failure, 0 for a success.
    pub(crate) fn push(&mut self, failed: u128) {
        self.failed = (self.failed << 1 | failed) & ((1 << Self::SIZE) - 1);
        self.count = (self.count + 1).min(Self::SIZE);
    }

    fn fails_at(&self, rate: f64) -> bool {
        self.count == Self::SIZE
            && f64::from(self.failed.count_ones()) >= rate * f64::from(Self::SIZE)
    }

    /// The part that succeeded; `None` before the first.
    pub(crate) fn success_rate(&self) -> Option<f64> {
        let failed = f64::from(self.failed.count_ones());
        (self.count > 0).then(|| 1.0 - failed / f64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Some(BreakerOptions {
            failure_threshold: 2,
            failure_rate: 0.5,
            success_threshold: 2,
            recovery_timeout: Duration::from_secs(60),
        }))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_enough_probes() {
        let (mut breaker, start) = (breaker(), Instant::now());
        breaker.failed(Pass::Free, start);
        breaker.answered(Pass::Free);
        breaker.failed(Pass::Free, start);
        assert_eq!(breaker.ask(|| start), Some(Pass::Free), "not in a row");
        breaker.failed(Pass::Free, start);
        assert_eq!(breaker.ask(|| start), None);
        let later = start + Duration::from_secs(60);
        assert_eq!(breaker.ask(|| later), Some(Pass::Probe));
        assert_eq!(breaker.ask(|| later), None, "one probe at a time");
        breaker.answered(Pass::Probe);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.ask(|| later), Some(Pass::Probe));
        breaker.answered(Pass::Probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_again() {
        let (mut breaker, start) = (breaker(), Instant::now());
        breaker.failed(Pass::Free, start);
        breaker.failed(Pass::Free, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(breaker.ask(|| later), Some(Pass::Probe));
        breaker.failed(Pass::Probe, later);
        assert_eq!(breaker.ask(|| later + Duration::from_secs(59)), None);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn it_opens_at_a_failure_rate_without_failures_in_a_row() {
        let (mut breaker, start) = (breaker(), Instant::now());
        for _ in 0..50 {
            assert_eq!(breaker.ask(|| start), Some(Pass::Free));
            breaker.answered(Pass::Free);
            breaker.failed(Pass::Free, start);
        }
        assert_eq!(breaker.ask(|| start), None);
    }

    #[test]
    fn late_answers_of_earlier_attempts_do_not_close_an_open_breaker() {
        let (mut breaker, start) = (breaker(), Instant::now());
        breaker.failed(Pass::Free, start);
        breaker.failed(Pass::Free, start);
        breaker.answered(Pass::Free);
        assert_eq!(breaker.ask(|| start), None);
    }
}
