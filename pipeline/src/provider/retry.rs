//! Decides what follows a failed attempt: a retry after a wait, or none. Waits are exponential with full jitter. Pure:
//! the random number is an argument.

use std::time::Duration;

use acteon_core::Backoff;
use acteon_core::sink::SinkErrorClass;

/// The longest wait between two attempts. If a provider asks for a longer one, this process does not retry.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), LONGEST);

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Retry after this time.
    Retry(Duration),
    /// This process has no attempts left.
    UsedUp,
    /// A retry will not help.
    Permanent,
    /// A retry will not help until the provider is fixed.
    ProviderFault,
}

/// Decides after `attempts` failures (1 or more), the last of this class. `chance` is in 0..1.
pub(crate) fn after_failure(
    class: SinkErrorClass,
    attempts: u32,
    max_retries: u32,
    chance: f64,
) -> AfterFailure {
    let asked = match class {
        SinkErrorClass::Transient { retry_after } => retry_after.unwrap_or_default(),
        SinkErrorClass::Deferred => Duration::ZERO,
        SinkErrorClass::Permanent => return AfterFailure::Permanent,
        SinkErrorClass::ProviderFault => return AfterFailure::ProviderFault,
    };
    if attempts > max_retries || asked > LONGEST {
        return AfterFailure::UsedUp;
    }
    let wait = BACKOFF.full_jitter(attempts.saturating_sub(1), chance);
    AfterFailure::Retry(wait.max(asked))
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
        for (attempts, millis) in [(1, 100), (2, 200), (3, 400), (12, 30_000), (20, 30_000)] {
            let longest = AfterFailure::Retry(Duration::from_millis(millis));
            assert_eq!(after(attempts, None, 1.0), longest);
        }
        let part = AfterFailure::Retry(Duration::from_millis(100));
        assert_eq!(after(3, None, 0.25), part);
    }

    #[test]
    fn what_the_provider_asks_for_is_never_undercut() {
        let seven = AfterFailure::Retry(Duration::from_secs(7));
        assert_eq!(after(1, Some(7), 0.0), seven);
        assert_eq!(after(1, Some(31), 0.0), AfterFailure::UsedUp);
    }

    #[test]
    fn attempts_are_used_up_and_some_failures_need_none() {
        assert_eq!(after(20, None, 0.0), AfterFailure::Retry(Duration::ZERO));
        assert_eq!(after(21, None, 0.0), AfterFailure::UsedUp);
        let class = |class| after_failure(class, 1, 20, 0.0);
        let at_once = AfterFailure::Retry(Duration::ZERO);
        assert_eq!(class(SinkErrorClass::Deferred), at_once);
        assert_eq!(class(SinkErrorClass::Permanent), AfterFailure::Permanent);
        assert_eq!(
            class(SinkErrorClass::ProviderFault),
            AfterFailure::ProviderFault
        );
    }
}
