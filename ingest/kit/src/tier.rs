//! Sorts waiting messages by the length of their wait: one queue or topic per tier, so that a long wait never blocks a
//! short one.

use std::time::Duration;

/// A tier of the delayed path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Waits of at most one second.
    Second,
    /// At most ten seconds.
    TenSeconds,
    /// At most one minute.
    Minute,
    /// At most ten minutes.
    TenMinutes,
    /// At most one hour. A longer wait passes through this tier repeatedly.
    Hour,
}

impl Tier {
    /// All tiers, shortest first.
    pub const ALL: [Self; 5] = [
        Self::Second,
        Self::TenSeconds,
        Self::Minute,
        Self::TenMinutes,
        Self::Hour,
    ];

    /// The shortest tier that covers all of `wait`, or else the longest.
    pub fn of(wait: Duration) -> Self {
        let lasts = |tier: &Self| wait <= tier.length();
        Self::ALL.into_iter().find(lasts).unwrap_or(Self::Hour)
    }

    /// The longest wait in this tier.
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::Hour => 3600,
        })
    }

    /// Its name, as a suffix of topic and queue names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "1s",
            Self::TenSeconds => "10s",
            Self::Minute => "1m",
            Self::TenMinutes => "10m",
            Self::Hour => "1h",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_to_the_shortest_tier_that_lasts_for_it() {
        let of = |millis| Tier::of(Duration::from_millis(millis)).as_str();
        assert_eq!([of(0), of(1_000), of(1_001)], ["1s", "1s", "10s"]);
        assert_eq!([of(10_000), of(10_001), of(60_000)], ["10s", "1m", "1m"]);
        assert_eq!([of(60_001), of(600_000), of(600_001)], ["10m", "10m", "1h"]);
        assert_eq!(Tier::of(Duration::from_secs(30 * 86_400)), Tier::Hour);
    }

    #[test]
    fn waits_of_one_tier_differ_by_a_factor_of_ten_at_most() {
        for pair in Tier::ALL.windows(2) {
            assert!(pair[1].length() <= pair[0].length() * 10);
        }
    }
}
