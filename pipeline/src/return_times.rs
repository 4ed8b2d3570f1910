//! Decides when a broker's throttled action returns. The limit gives every waiting action the same time, when the next
//! one would pass. If all returned then, most would be refused again. So each is scheduled behind those before it.

use std::time::Duration;

use acteon_core::state::{Quota, StateKey};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The maximum number of keys tracked at once. Actions of other keys return when the limit says.
const KEYS_MAX: usize = 10_000;
/// How often unused keys are looked for while there is no room.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Each step is lengthened by one part in this many, so that a late action does not make the next one too early.
const SLACK_PART: u32 = 25;

/// Spreads the actions waiting for one limit over the time they take to pass. It knows only this process. If several
/// processes share a limit, some actions return too early and wait once more.
#[derive(Default)]
pub(crate) struct ReturnTimes(Mutex<Keys>);

#[derive(Default)]
struct Keys {
    /// For each key, when its last waiting action returns.
    last: HashMap<StateKey, Instant>,
    swept_at: Option<Instant>,
}

impl ReturnTimes {
    /// The wait of an action that `quota` just refused, and that would pass after `retry_after` if it were alone.
    pub(crate) fn wait(&self, quota: &Quota, retry_after: Duration, now: Instant) -> Duration {
        let first = now + retry_after;
        let mut keys = self.0.lock();
        if let Some(last) = keys.last.get_mut(&quota.key) {
            *last = first.max(*last + step(quota));
            return last.duration_since(now);
        }
        if keys.has_room(now) {
            keys.last.insert(quota.key.clone(), first);
        }
        retry_after
    }
}

impl Keys {
    fn has_room(&mut self, now: Instant) -> bool {
        if self.last.len() < KEYS_MAX {
            return true;
        }
        if self.swept_at.is_some_and(|at| now < at + SWEEP_INTERVAL) {
            return false;
        }
        self.swept_at = Some(now);
        self.last.retain(|_, last| *last > now);
        self.last.len() < KEYS_MAX
    }
}

/// The time from one passing action to the next.
fn step(quota: &Quota) -> Duration {
    let place = quota.window / quota.max_count.max(1);
    place + place / SLACK_PART
}

#[cfg(test)]
mod tests {
    use acteon_core::state::WhenFull;

    use super::*;

    fn quota(name: &str) -> Quota {
        Quota {
            key: StateKey::new("n", "t", "rule", name),
            max_count: 5,
            window: Duration::from_secs(1),
            when_full: WhenFull::Refuse,
        }
    }

    fn millis(wait: Duration) -> u128 {
        wait.as_millis()
    }

    #[test]
    fn those_that_wait_for_one_key_come_one_behind_the_other() {
        let (pace, now) = (ReturnTimes::default(), Instant::now());
        let retry_after = Duration::from_millis(400);
        let wait = |name| millis(pace.wait(&quota(name), retry_after, now));
        assert_eq!([wait("a"), wait("a"), wait("a")], [400, 608, 816]);
        assert_eq!(wait("b"), 400, "another key has its own places");
    }

    #[test]
    fn none_comes_before_the_next_would_pass() {
        let (pace, now) = (ReturnTimes::default(), Instant::now());
        pace.wait(&quota("a"), Duration::from_millis(100), now);
        let later = now + Duration::from_secs(60);
        let wait = pace.wait(&quota("a"), Duration::from_millis(700), later);
        assert_eq!(millis(wait), 700, "the others have come long ago");
    }

    #[test]
    fn keys_that_nobody_waits_for_are_forgotten_for_others_and_the_rest_keep_their_places() {
        let (pace, now) = (ReturnTimes::default(), Instant::now());
        let second = Duration::from_secs(1);
        for key in 0..KEYS_MAX {
            pace.wait(&quota(&key.to_string()), second, now);
        }
        let twice = |name, at| {
            let wait = || millis(pace.wait(&quota(name), second, at));
            [wait(), wait()]
        };
        assert_eq!(twice("new", now), [1000, 1000], "there is no room for it");
        assert_eq!(twice("7", now), [1208, 1416]);
        let later = now + Duration::from_millis(1300);
        assert_eq!(twice("new", later), [1000, 1208]);
        assert_eq!(pace.0.lock().last.len(), 2, "7 and the new one are left");
    }
}
