//! Log lines and metrics of one provider. All its series are registered at the start.

use std::time::Duration;

use acteon_core::health::BreakerState;
use acteon_core::{Delay, FailureCode, SinkError};
use compact_str::CompactString;
use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::retry::LONGEST;

/// The shortest time between two warnings about failures of one provider.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

const OVERFLOWS: &str = "acteon_provider_overflows_total";
const FAILURES: &str = "acteon_attempt_failures_total";
const TRANSITIONS: &str = "acteon_breaker_transitions_total";
const DELAYED: &str = "acteon_delayed_total";
const TEMPLATE_ERRORS: &str = "acteon_provider_template_errors_total";
/// The worker of a provider is one of the pipeline's tasks.
const TASK_PANICS: &str = "acteon_task_panics_total";
const DURATION: &str = "acteon_delivery_duration_seconds";

pub(crate) struct Events {
    provider: CompactString,
    overflows: Counter,
    /// Indexed by code.
    failures: [Counter; FailureCode::ALL.len()],
    /// Indexed by state.
    transitions: [Counter; BreakerState::ALL.len()],
    /// Indexed by reason.
    delayed: [Counter; Delay::ALL.len()],
    duration: Histogram,
    unreported: Mutex<UnreportedFailures>,
}

/// Failures since the last warning.
#[derive(Default)]
struct UnreportedFailures {
    failures: u64,
    reported_at: Option<Instant>,
}

impl Events {
    pub(super) fn new(provider: &CompactString) -> Self {
        describe();
        let name = provider.to_string();
        counter!(TASK_PANICS, "task" => name.clone()).increment(0);
        counter!(TEMPLATE_ERRORS, "provider" => name.clone()).increment(0);
        let of =
            |metric, label, value| counter!(metric, "provider" => name.clone(), label => value);
        Self {
            provider: provider.clone(),
            overflows: counter!(OVERFLOWS, "provider" => name.clone()),
            failures: FailureCode::ALL.map(|code| of(FAILURES, "code", code.as_str())),
            transitions: BreakerState::ALL.map(|to| of(TRANSITIONS, "to", to.as_str())),
            delayed: Delay::ALL.map(|reason| of(DELAYED, "reason", reason.as_str())),
            duration: histogram!(DURATION, "provider" => name.clone()),
            unreported: Mutex::default(),
        }
    }

    /// The queue had no room for an action.
    pub(crate) fn overflowed(&self) {
        self.overflows.increment(1);
        tracing::debug!(provider = %self.provider, "the provider's queue is full");
    }

    /// An action was sent to the delayed path of its source.
    pub(crate) fn delayed(&self, delay: Delay) {
        self.delayed[delay as usize].increment(1);
    }

    /// Records `attempts` attempts of the same duration.
    pub(super) fn took(&self, duration: Duration, attempts: u32) {
        self.duration.record_many(duration, attempts as usize);
    }

    /// The sink did not accept an action.
    pub(super) fn attempt_failed(&self, action_id: &str, error: &SinkError) {
        self.failures[error.code as usize].increment(1);
        let provider = self.provider.as_str();
        let code = error.code.as_str();
        let reason = error.message.as_str();
        let cause = error.source.as_deref().map(tracing::field::display);
        match self.failures_to_report(Instant::now()) {
            Some(failures) => {
                tracing::warn!(
                    provider,
                    failures,
                    action_id,
                    code,
                    reason,
                    cause,
                    "deliveries fail"
                );
            }
            None => tracing::debug!(
                provider,
                action_id,
                code,
                reason,
                cause,
                "an attempt failed"
            ),
        }
    }

    /// The number of failures since the last log line, if a new line is due.
    fn failures_to_report(&self, now: Instant) -> Option<u64> {
        let mut unreported = self.unreported.lock();
        unreported.failures += 1;
        let is_soon = |reported_at| now.duration_since(reported_at) < WARNING_INTERVAL;
        if unreported.reported_at.is_some_and(is_soon) {
            return None;
        }
        unreported.reported_at = Some(now);
        Some(std::mem::take(&mut unreported.failures))
    }

    /// The provider asked for a pause. A pause that an action waits for is logged at debug only.
    pub(super) fn paused(&self, pause: Duration) {
        let provider = self.provider.as_str();
        let seconds = pause.as_secs_f64();
        if pause > LONGEST {
            tracing::warn!(
                provider,
                seconds,
                "the provider asked for a pause: it gets no calls until then, or until its breaker is closed by hand"
            );
        } else {
            tracing::debug!(provider, seconds, "the provider asked for a pause");
        }
    }

    /// The breaker changed its state. A probe and its failure are logged at debug only.
    pub(super) fn breaker_moved(&self, from: BreakerState, to: BreakerState) {
        self.transitions[to as usize].increment(1);
        let provider = self.provider.as_str();
        match (from, to) {
            (BreakerState::Closed, BreakerState::Open) => {
                tracing::warn!(
                    provider,
                    "the breaker opened: the provider gets no calls until the next probe"
                );
            }
            (_, BreakerState::Closed) => {
                tracing::warn!(provider, "the breaker closed: the provider works again");
            }
            _ => tracing::debug!(
                provider,
                state = to.as_str(),
                "the breaker changed its state"
            ),
        }
    }
}

/// A template of the provider failed for an action.
pub(super) fn template_failed(provider: &CompactString, action_id: &str, fault: &str) {
    counter!(TEMPLATE_ERRORS, "provider" => provider.to_string()).increment(1);
    tracing::debug!(%provider, action_id, fault, "a template failed");
}

fn describe() {
    describe_counter!(
        TEMPLATE_ERRORS,
        "Attempts for which a template of the provider failed."
    );
    describe_counter!(
        OVERFLOWS,
        "Actions that found no place in their provider's queue."
    );
    describe_counter!(FAILURES, "Failed calls of a provider, by code.");
    describe_counter!(
        TRANSITIONS,
        "State changes of a provider's breaker, by the new state."
    );
    describe_counter!(DELAYED, "Actions sent to the delayed path of their source.");
    describe_histogram!(
        DURATION,
        "The duration of a provider's calls. Zero if it answered without waiting."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_goes_on_failing_is_told_of_once_in_ten_seconds_with_how_often() {
        let events = Events::new(&"hook".into());
        let start = Instant::now();
        let told = |after| events.failures_to_report(start + Duration::from_secs(after));
        assert_eq!(told(0), Some(1));
        assert_eq!([told(1), told(9)], [None, None]);
        assert_eq!(told(10), Some(3));
        assert_eq!(told(19), None);
        assert_eq!(told(60), Some(2));
    }

    #[test]
    fn counters_are_in_the_order_of_what_they_count() {
        for (at, code) in FailureCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, at);
        }
        for (at, state) in BreakerState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, at);
        }
        for (at, delay) in Delay::ALL.into_iter().enumerate() {
            assert_eq!(delay as usize, at);
        }
    }
}
