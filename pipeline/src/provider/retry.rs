//! Decides what follows a failed attempt: a retry after a wait, or none. Waits are exponential with full jitter, so
//! that attempts that failed together are not retried together (Brooker, "Exponential Backoff And Jitter"). Pure: the
//! random number is an argument.

use std::time::Duration;

use acteon_core::sink::SinkErrorClass;

const FIRST: Duration = Duration::from_millis(100);
/// The longest wait between two attempts. If a provider asks for a longer one, this process does not retry.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Retry after this time.
    Again(Duration),
    /// This process has no attempts left.
    UsedUp,
    /// A retry will not help.
    Hopeless,
    /// A retry will not help until the provider is fixed.
    Mend,
}

/// Decides after `attempts` failures (1 or more), the last of this class. `chance` is in 0..1.
pub(crate) fn after_failure(
    class: SinkErrorClass,
    attempts: u32,
    max_retries: u32,
    chance: f64,
) -> AfterFailure {
    match class {
        SinkErrorClass::Transient { retry_after } => {
            let asked = retry_after.unwrap_or_default();
            if attempts > max_retries || asked > LONGEST {
                return AfterFailure::UsedUp;
            }
            AfterFailure::Again(backoff(attempts, chance).max(asked))
        }
        SinkErrorClass::Permanent => AfterFailure::Hopeless,
        SinkErrorClass::ProviderFault => AfterFailure::Mend,
    }
}

fn backoff(attempts: u32, chance: f64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let bound = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    bound.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(attempts: u32, asked: Option<u64>, chance: f64) -> AfterFailure {
        let retry_after = asked.map(Duration::from_secs);
        after_failure(
            SinkErrorClass::Transient { retry_after },
            attempts,
            20,
            chance,
        )
    }

    #[test]
    fn the_bound_doubles_up_to_the_longest_wait() {
        let bound = |attempts| backoff(attempts, 1.0).as_millis();
        assert_eq!((bound(1), bound(2), bound(3)), (100, 200, 400));
        assert_eq!(bound(12), 30_000);
        assert_eq!(bound(u32::MAX), 30_000);
        assert_eq!(backoff(3, 0.25).as_millis(), 100);
    }

    #[test]
    fn what_the_provider_asks_for_is_never_undercut() {
        let seven = AfterFailure::Again(Duration::from_secs(7));
        assert_eq!(after(1, Some(7), 0.0), seven);
        assert_eq!(after(1, Some(31), 0.0), AfterFailure::UsedUp);
    }

    #[test]
    fn attempts_are_used_up_and_some_failures_need_none() {
        assert_eq!(after(20, None, 0.0), AfterFailure::Again(Duration::ZERO));
        assert_eq!(after(21, None, 0.0), AfterFailure::UsedUp);
        let class = |class| after_failure(class, 1, 20, 0.0);
        assert_eq!(class(SinkErrorClass::Permanent), AfterFailure::Hopeless);
        assert_eq!(class(SinkErrorClass::ProviderFault), AfterFailure::Mend);
    }
}
