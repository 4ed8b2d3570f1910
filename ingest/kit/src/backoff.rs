//! How long to wait before the next attempt: exponential, capped, with jitter.

use std::time::Duration;

/// Waits that double from `floor` to `cap`, each a random value in the upper half of its step.
///
/// The jitter keeps instances that lost the same broker from reconnecting in step. Half a step always remains, so that
/// a lasting outage is not met with bursts ("equal jitter", Amazon Builders' Library).
#[derive(Clone, Debug)]
pub struct Backoff {
    floor: Duration,
    cap: Duration,
    tries: u32,
}

impl Backoff {
    /// The first wait is at most `floor`; no wait exceeds `cap`.
    pub fn new(floor: Duration, cap: Duration) -> Self {
        Self {
            floor,
            cap,
            tries: 0,
        }
    }

    /// For a lost connection: from half a second to thirty seconds.
    pub fn reconnect() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.wait_of(self.tries, rand::random());
        self.tries = self.tries.saturating_add(1);
        wait
    }

    /// The wait after `tries` failures; `chance` is between 0 and 1.
    pub fn wait_of(&self, tries: u32, chance: f64) -> Duration {
        let step = self.floor.saturating_mul(1 << tries.min(31)).min(self.cap);
        step.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// The longest wait.
    pub fn cap(&self) -> Duration {
        self.cap
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_over_after_a_reset() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(1000));
        let steps = [0, 1, 2, 3, 4, 40, u32::MAX].map(|tries| backoff.wait_of(tries, 1.0));
        assert_eq!(steps, [100, 200, 400, 800, 1000, 1000, 1000].map(millis));
        assert_eq!(backoff.wait_of(1, 0.0), millis(100));
        for _ in 0..100 {
            assert!(backoff.next_wait() <= backoff.cap());
        }
        backoff.reset();
        assert!(backoff.next_wait() <= millis(100));
    }
}
