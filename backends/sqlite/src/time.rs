//! Times in the file: nanoseconds since 1970 as an integer, for the years 1677 to 2262.

use std::time::Duration;

use jiff::Timestamp;

/// `at` in nanoseconds since 1970. A time that is out of range becomes the nearest one in it.
pub(crate) fn nanos_of(at: Timestamp) -> i64 {
    let nanos = at.as_nanosecond();
    i64::try_from(nanos).unwrap_or(match nanos {
        ..0 => i64::MIN,
        0.. => i64::MAX,
    })
}

/// The time of a stored number.
pub(crate) fn time_of(nanos: i64) -> Timestamp {
    // All of these are in the range of a timestamp.
    Timestamp::from_nanosecond(nanos.into()).unwrap_or_default()
}

/// The length of `time` in nanoseconds, at most 292 years.
pub(crate) fn length_of(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// The duration of a number of nanoseconds. Zero if it is negative.
pub(crate) fn duration_of(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_to_the_nanosecond_and_one_out_of_range_is_the_nearest() {
        let at: Timestamp = "2026-01-01T00:00:00.123456789Z".parse().unwrap();
        assert_eq!(time_of(nanos_of(at)), at);
        assert_eq!(nanos_of(Timestamp::MAX), i64::MAX);
        assert_eq!(nanos_of(Timestamp::MIN), i64::MIN);
        assert_eq!(nanos_of(time_of(i64::MIN)), i64::MIN);
        assert_eq!(length_of(Duration::MAX), i64::MAX);
        assert_eq!(duration_of(-1), Duration::ZERO);
    }
}
