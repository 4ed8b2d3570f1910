//! How long to wait before the next attempt: exponential with full jitter, so that those who failed together do not
//! come back together (Brooker, "Exponential Backoff And Jitter"). Pure: chance is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// The wait after `attempts` failed ones (1 or more); `chance` is in 0..1. What the provider asked for is honoured
/// up to the longest wait.
pub(crate) fn wait_after(attempts: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let bound = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let jittered = bound.mul_f64(chance.clamp(0.0, 1.0));
    jittered.max(asked.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_wait() {
        let bound = |attempts| wait_after(attempts, None, 1.0).as_millis();
        assert_eq!((bound(1), bound(2), bound(3)), (100, 200, 400));
        assert_eq!(bound(12), 30_000);
        assert_eq!(bound(u32::MAX), 30_000);
        assert_eq!(wait_after(3, None, 0.25).as_millis(), 100);
    }

    #[test]
    fn what_the_provider_asks_for_is_honoured_up_to_the_longest_wait() {
        let asked = |secs| wait_after(1, Some(Duration::from_secs(secs)), 0.0).as_secs();
        assert_eq!((asked(7), asked(3600)), (7, 30));
    }
}
