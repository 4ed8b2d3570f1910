//! Schedules the redelivery of an action that could not be delivered: on the schedule of its provider, never while the
//! provider may not be called, until the time to give up.

mod pending;

use std::time::Duration;

use acteon_core::{History, TimeLeft};
use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) use self::pending::PendingRedeliveries;

use crate::job::Job;
use crate::options::RedeliveryOptions;
use crate::process::Pipeline;

/// The longest wait that a provider can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// The maximum fraction of a wait that jitter adds, so that actions that failed together do not return together.
const JITTER: f64 = 0.2;

impl Pipeline {
    /// Whether the action may still be redelivered.
    pub(crate) fn time_left(&self, job: &Job, now: Timestamp) -> TimeLeft {
        let options = self.redelivery_of(job);
        let history = job.delivery.history.as_deref();
        let age = history.map_or(Duration::ZERO, |history| history.age(now));
        match age < options.give_up_after {
            true => TimeLeft::Some,
            false => TimeLeft::None,
        }
    }

    /// The wait before the action is redelivered.
    pub(crate) fn redelivery_wait(&self, job: &Job) -> Duration {
        let now = Instant::now();
        let provider = self.parts.providers.get(&job.route.target);
        let closed_until = provider.and_then(|provider| provider.closed_until());
        let closed = closed_until.map(|until| until.saturating_duration_since(now));
        let asked = job.retry_after.map(|wait| wait.min(RETRY_AFTER_MAX));
        let history = job.delivery.history.as_deref();
        let step = history.map_or(0, |history: &History| history.redeliveries);
        let scheduled = self.redelivery_of(job).wait(step);
        let least = scheduled.max(closed.unwrap_or_default());
        jittered(least.max(asked.unwrap_or_default()), rand::random())
    }

    fn redelivery_of(&self, job: &Job) -> &RedeliveryOptions {
        let provider = self.parts.providers.get(&job.route.target);
        provider.map_or(&self.parts.options.redelivery, |provider| {
            &provider.options.redelivery
        })
    }
}

impl RedeliveryOptions {
    /// The scheduled wait before redelivery `step`, counted from 0. The last wait repeats.
    fn wait(&self, step: u32) -> Duration {
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let last = self.schedule.last();
        let wait = self.schedule.get(step).or(last);
        wait.copied().unwrap_or_default()
    }
}

/// Never shortens the wait, which may have been promised to the provider.
fn jittered(wait: Duration, chance: f64) -> Duration {
    wait + wait.mul_f64(JITTER * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_followed_and_its_last_wait_repeats() {
        let options = RedeliveryOptions {
            schedule: [5, 30].map(Duration::from_secs).into(),
            ..RedeliveryOptions::default()
        };
        let waits = [0, 1, 2, u32::MAX].map(|step| options.wait(step).as_secs());
        assert_eq!(waits, [5, 30, 30, 30]);
    }

    #[test]
    fn chance_adds_a_fifth_at_most_and_takes_nothing_away() {
        let wait = Duration::from_secs(10);
        assert_eq!(jittered(wait, 0.0), wait);
        assert_eq!(jittered(wait, 1.0), Duration::from_secs(12));
    }
}
