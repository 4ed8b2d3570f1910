//! Stops calls to a provider that keeps failing, and detects its recovery. Pure: time is an argument.
//!
//! The circuit breaker of Nygard, "Release It!": closed, open, half-open, with one probe at a time.

use std::time::Duration;

use acteon_core::health::{BreakerOverride, BreakerState};
use tokio::time::Instant;

use crate::options::BreakerOptions;

/// How soon to ask again during a probe.
const PROBE_RECHECK: Duration = Duration::from_millis(100);

/// How soon to ask again while an operator holds it open. Closing it wakes the worker.
const HELD_RECHECK: Duration = Duration::from_secs(60);

/// Permission to call the provider, issued in one period of the breaker: the time from one state change to the next. An
/// attempt that ends in a later period does not affect the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The breaker is closed, or there is none.
    #[allow(missing_docs)]
    Free { period: u32 },
    /// The single attempt that tests whether the provider has recovered.
    #[allow(missing_docs)]
    Probe { period: u32 },
}

/// The breaker of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    options: Option<BreakerOptions>,
    state: State,
    period: u32,
    failures_in_a_row: u32,
    recent: Recent,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// Open by hand.
    Held,
    HalfOpen {
        probing: bool,
        successes: u32,
    },
}

impl Breaker {
    pub(crate) fn new(options: Option<BreakerOptions>) -> Self {
        Self {
            options,
            state: State::Closed,
            period: 0,
            failures_in_a_row: 0,
            recent: Recent::default(),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } | State::Held => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// The time of the next probe, while open.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::Held | State::HalfOpen { .. } => None,
        }
    }

    /// True while an operator holds it open.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.state, State::Held)
    }

    /// Opens it until it is closed by hand, or closes it.
    pub(crate) fn set(&mut self, to: BreakerOverride) {
        self.failures_in_a_row = 0;
        self.recent = Recent::default();
        self.enter(match to {
            BreakerOverride::Open => State::Held,
            BreakerOverride::Closed => State::Closed,
        });
    }

    /// The current period.
    pub(crate) fn period(&self) -> u32 {
        self.period
    }

    /// Whether the provider may be called. If not, when to ask again.
    pub(crate) fn ask(&mut self, now: Instant) -> Result<Pass, Instant> {
        match &mut self.state {
            State::Closed => {
                return Ok(Pass::Free {
                    period: self.period,
                });
            }
            State::Open { until } if now < *until => return Err(*until),
            State::Held => return Err(now + HELD_RECHECK),
            State::HalfOpen { probing: true, .. } => return Err(now + PROBE_RECHECK),
            State::HalfOpen { probing, .. } => *probing = true,
            State::Open { .. } => self.enter(State::HalfOpen {
                probing: true,
                successes: 0,
            }),
        }
        Ok(Pass::Probe {
            period: self.period,
        })
    }

    /// The provider answered, even if it refused the action.
    pub(crate) fn answered(&mut self, pass: Pass) {
        if !self.is_of_this_period(pass) {
            return;
        }
        self.failures_in_a_row = 0;
        self.recent.push(0);
        let Some(options) = self.options else { return };
        if let State::HalfOpen { successes, .. } = self.state {
            let successes = successes + 1;
            if successes >= options.success_threshold {
                self.recent = Recent::default();
                self.enter(State::Closed);
            } else {
                self.state = State::HalfOpen {
                    probing: false,
                    successes,
                };
            }
        }
    }

    /// The provider failed in a way that a retry may fix.
    pub(crate) fn failed(&mut self, pass: Pass, now: Instant) {
        if !self.is_of_this_period(pass) {
            return;
        }
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.recent.push(1);
        let Some(options) = self.options else { return };
        let opens = match pass {
            Pass::Probe { .. } => true,
            Pass::Free { .. } => {
                self.failures_in_a_row >= options.failure_threshold
                    || self.recent.fails_at(options.failure_rate)
            }
        };
        if opens {
            self.open(now + options.recovery_timeout);
        }
    }

    /// The provider is at fault: every attempt would fail.
    pub(crate) fn provider_fault(&mut self, pass: Pass, now: Instant) {
        if let Some(options) = self.options
            && self.is_of_this_period(pass)
        {
            self.open(now + options.recovery_timeout);
        }
    }

    /// The attempt ended without a result. The next one may be the probe.
    pub(crate) fn abandoned(&mut self, pass: Pass) {
        if self.is_of_this_period(pass)
            && let State::HalfOpen { probing, .. } = &mut self.state
        {
            *probing = false;
        }
    }

    fn open(&mut self, until: Instant) {
        self.failures_in_a_row = 0;
        self.enter(State::Open { until });
    }

    fn enter(&mut self, state: State) {
        self.period = self.period.wrapping_add(1);
        self.state = state;
    }

    fn is_of_this_period(&self, pass: Pass) -> bool {
        let (Pass::Free { period } | Pass::Probe { period }) = pass;
        period == self.period
    }
}

/// The results of the last hundred attempts, one bit each.
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

    /// The fraction that succeeded; `None` before the first attempt.
    pub(crate) fn success_rate(&self) -> Option<f64> {
        let failed = f64::from(self.failed.count_ones());
        (self.count > 0).then(|| 1.0 - failed / f64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Some(BreakerOptions {
            failure_threshold: 2,
            failure_rate: 0.5,
            success_threshold: 2,
            recovery_timeout: Duration::from_secs(60),
        }))
    }

    /// Opens the breaker with two failures in a row, and returns a pass issued before.
    fn opened(breaker: &mut Breaker, at: Instant) -> Pass {
        let early = breaker.ask(at).unwrap();
        breaker.failed(early, at);
        breaker.failed(early, at);
        assert_eq!(breaker.state(), BreakerState::Open);
        early
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_enough_probes() {
        let (mut breaker, start) = (breaker(), Instant::now());
        let pass = breaker.ask(start).unwrap();
        breaker.failed(pass, start);
        breaker.answered(pass);
        breaker.failed(pass, start);
        assert_eq!(breaker.ask(start), Ok(pass), "not in a row");
        breaker.failed(pass, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(breaker.ask(start), Err(later));
        let probe = breaker.ask(later).unwrap();
        assert!(matches!(probe, Pass::Probe { .. }));
        assert!(breaker.ask(later).is_err(), "one probe at a time");
        breaker.answered(probe);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let probe = breaker.ask(later).unwrap();
        breaker.answered(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_again() {
        let (mut breaker, start) = (breaker(), Instant::now());
        opened(&mut breaker, start);
        let later = start + Duration::from_secs(60);
        let probe = breaker.ask(later).unwrap();
        breaker.failed(probe, later);
        assert!(breaker.ask(later + Duration::from_secs(59)).is_err());
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn it_opens_at_a_failure_rate_without_failures_in_a_row() {
        let (mut breaker, start) = (breaker(), Instant::now());
        for _ in 0..50 {
            let pass = breaker.ask(start).unwrap();
            breaker.answered(pass);
            breaker.failed(pass, start);
        }
        assert!(breaker.ask(start).is_err());
    }

    #[test]
    fn what_ends_in_a_later_period_moves_nothing() {
        let (mut breaker, start) = (breaker(), Instant::now());
        let early = opened(&mut breaker, start);
        breaker.answered(early);
        assert!(breaker.ask(start).is_err(), "an answer does not close it");
        let later = start + Duration::from_secs(60);
        for _ in 0..2 {
            let probe = breaker.ask(later).unwrap();
            breaker.failed(early, later);
            breaker.answered(probe);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.failed(early, later);
        breaker.failed(early, later);
        assert_eq!(breaker.state(), BreakerState::Closed, "failures of before");
    }

    #[test]
    fn one_that_is_opened_by_hand_stays_open_until_it_is_closed_by_hand() {
        let (mut breaker, start) = (breaker(), Instant::now());
        let early = breaker.ask(start).unwrap();
        breaker.set(BreakerOverride::Open);
        breaker.answered(early);
        let later = start + Duration::from_secs(3600);
        assert!(breaker.ask(later).is_err());
        assert_eq!(
            (breaker.state(), breaker.open_until()),
            (BreakerState::Open, None)
        );
        breaker.set(BreakerOverride::Closed);
        let pass = breaker.ask(later).unwrap();
        breaker.failed(pass, later);
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.failed(pass, later);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.set(BreakerOverride::Closed);
        assert!(matches!(breaker.ask(later), Ok(Pass::Free { .. })));
    }

    #[test]
    fn a_provider_at_fault_opens_it_at_once() {
        let (mut breaker, start) = (breaker(), Instant::now());
        let pass = breaker.ask(start).unwrap();
        breaker.provider_fault(pass, start);
        assert!(breaker.ask(start).is_err());
    }

    #[test]
    fn a_probe_without_a_result_makes_way_for_the_next() {
        let (mut breaker, start) = (breaker(), Instant::now());
        opened(&mut breaker, start);
        let later = start + Duration::from_secs(60);
        let probe = breaker.ask(later).unwrap();
        breaker.abandoned(probe);
        assert!(breaker.ask(later).is_ok());
    }
}
