//! How long to wait before the next try: exponential, capped, with jitter.

use std::time::Duration;

/// Waits that double from `first` to `longest`.
///
/// Jitter keeps whatever failed together from being tried again together (Brooker, "Exponential Backoff And Jitter").
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Waits without jitter begin at `first` and never exceed `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            tries: 0,
        }
    }

    /// For a lost connection: from half a second to thirty seconds.
    pub const fn reconnect() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }

    /// The next wait of a series, with equal jitter.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.equal_jitter(self.tries, rand::random());
        self.tries = self.tries.saturating_add(1);
        wait
    }

    /// Starts the series over after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The wait after the first `tries` tries were followed by a wait, without jitter.
    pub fn step(&self, tries: u32) -> Duration {
        self.first
            .saturating_mul(1 << tries.min(31))
            .min(self.longest)
    }

    /// A wait in the upper half of the step; `chance` is in 0..1. Half a step always remains, so that a lasting outage is
    /// not met with bursts.
    pub fn equal_jitter(&self, tries: u32, chance: f64) -> Duration {
        self.step(tries).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// A wait from zero to the step; `chance` is in 0..1. Spreads many independent retries best.
    pub fn full_jitter(&self, tries: u32, chance: f64) -> Duration {
        self.step(tries).mul_f64(chance.clamp(0.0, 1.0))
    }

    /// The longest wait.
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000));

    #[test]
    fn steps_double_up_to_the_longest() {
        let steps = [0, 1, 2, 3, 4, 40, u32::MAX].map(|tries| BACKOFF.step(tries));
        let expected = [100, 200, 400, 800, 1000, 1000, 1000];
        assert_eq!(steps, expected.map(Duration::from_millis));
    }

    #[test]
    fn jitter_takes_away_at_most_half_or_all_of_a_step() {
        let millis = Duration::from_millis;
        assert_eq!(BACKOFF.equal_jitter(1, 0.0), millis(100));
        assert_eq!(BACKOFF.equal_jitter(1, 1.0), millis(200));
        assert_eq!(BACKOFF.full_jitter(1, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.full_jitter(1, 0.25), millis(50));
    }

    #[test]
    fn a_series_begins_anew_after_a_success() {
        let mut series = BACKOFF;
        for _ in 0..100 {
            assert!(series.next_wait() <= series.longest());
        }
        series.reset();
        assert!(series.next_wait() <= BACKOFF.step(0));
    }
}
