//! Records every action offered, and how often each one arrived at the far end, by its number. Losses and duplicates
//! show here.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// How often to check whether everything has arrived.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Every action of one run. The number of an action is also its id.
#[derive(Default)]
pub(crate) struct FarEnd {
    actions: Mutex<Vec<Offered>>,
}

struct Offered {
    provider: &'static str,
    at: Instant,
    first_arrival: Option<Instant>,
    arrivals: u32,
}

/// The result of a run.
pub(crate) struct Count {
    pub(crate) offered: u64,
    /// How many actions arrived at least once.
    pub(crate) arrived: u64,
    /// How many actions arrived more than once.
    pub(crate) doubled: u64,
}

impl FarEnd {
    /// Returns the number of the next action; it counts as offered now.
    pub(crate) fn offer(&self, provider: &'static str) -> u64 {
        let mut actions = self.actions.lock();
        actions.push(Offered {
            provider,
            at: Instant::now(),
            first_arrival: None,
            arrivals: 0,
        });
        actions.len() as u64 - 1
    }

    /// Records that a provider has accepted this action.
    pub(crate) fn arrive(&self, number: u64) {
        let now = Instant::now();
        // A number that was never offered is ignored: it would show as a loss.
        if let Some(action) = self.actions.lock().get_mut(number as usize) {
            action.first_arrival.get_or_insert(now);
            action.arrivals += 1;
        }
    }

    pub(crate) fn has_arrived(&self, number: u64) -> bool {
        let actions = self.actions.lock();
        actions
            .get(number as usize)
            .is_some_and(|action| action.arrivals > 0)
    }

    pub(crate) fn count(&self) -> Count {
        let actions = self.actions.lock();
        let at_least = |times| actions.iter().filter(|a| a.arrivals >= times).count() as u64;
        Count {
            offered: actions.len() as u64,
            arrived: at_least(1),
            doubled: at_least(2),
        }
    }

    /// How many actions a provider accepted from `since` to `end`, per second.
    pub(crate) fn rate(&self, provider: &str, since: Instant, end: Instant) -> f64 {
        let window = since..end;
        let actions = self.actions.lock();
        let arrived = actions
            .iter()
            .filter(|action| action.provider == provider)
            .filter(|action| action.first_arrival.is_some_and(|at| window.contains(&at)))
            .count();
        arrived as f64 / (end - since).as_secs_f64()
    }

    /// The 99th percentile of the time from offer to acceptance for a provider's actions, in milliseconds.
    pub(crate) fn p99_ms(&self, provider: &str, since: Instant) -> f64 {
        let actions = self.actions.lock();
        let mut delays: Vec<Duration> = actions
            .iter()
            .filter(|action| action.provider == provider && action.at >= since)
            .filter_map(|action| Some(action.first_arrival? - action.at))
            .collect();
        delays.sort();
        let at = delays.len() * 99 / 100;
        delays.get(at).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
    }

    /// When the first and the last of the actions from number `from` on arrived.
    pub(crate) fn arrivals_from(&self, from: u64) -> Option<(Instant, Instant)> {
        let actions = self.actions.lock();
        let arrivals = || {
            let later = actions.iter().skip(from as usize);
            later.filter_map(|action| action.first_arrival)
        };
        Some((arrivals().min()?, arrivals().max()?))
    }

    /// Waits until this many have arrived, for at most `timeout`. Returns whether they have.
    pub(crate) async fn until_arrived(&self, count: u64, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        while self.count().arrived < count {
            if Instant::now() > until {
                return false;
            }
            sleep(ASK_EVERY).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_came_and_what_came_twice_shows_in_the_count() {
        let far_end = FarEnd::default();
        let [once, twice, never] = std::array::from_fn(|_| far_end.offer("well"));
        far_end.arrive(once);
        far_end.arrive(twice);
        far_end.arrive(twice);
        let count = far_end.count();
        assert_eq!((count.offered, count.arrived, count.doubled), (3, 2, 1));
        assert!(!far_end.has_arrived(never));
        assert!(far_end.until_arrived(2, Duration::ZERO).await);
        assert!(!far_end.until_arrived(3, Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_counts_first_arrivals_inside_of_its_window() {
        let far_end = FarEnd::default();
        let start = Instant::now();
        for provider in ["well", "well", "hung"] {
            let number = far_end.offer(provider);
            sleep(Duration::from_secs(1)).await;
            far_end.arrive(number);
            far_end.arrive(number);
        }
        let end = start + Duration::from_secs(2);
        assert_eq!(far_end.rate("well", start, end), 0.5);
        assert_eq!(far_end.rate("hung", start, end), 0.0);
        assert_eq!(far_end.p99_ms("hung", start), 1000.0);
    }
}
