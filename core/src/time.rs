//! The times of producers and clients: the years 1 to 9999, in UTC. The clock's own type ends 26 hours before the end of
//! the year 9999, the last second of which many use for "never".

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time on the wire, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(DateTime);

/// Why a text is not a [`Time`].
#[derive(Debug, thiserror::Error)]
pub enum TimeError {
    /// It is not a time of RFC 3339.
    #[error("must be a time of RFC 3339, such as 2026-01-01T09:00:00Z")]
    Malformed,
    /// Its year is not in 1 to 9999.
    #[error("the year must be from 0001 to 9999")]
    Year,
}

impl Time {
    /// As a time of the clock. Later times become the clock's last one.
    pub fn timestamp(self) -> Timestamp {
        let timestamp = Offset::UTC.to_timestamp(self.0);
        timestamp.unwrap_or(Timestamp::MAX)
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(Offset::UTC.to_datetime(timestamp))
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time = match text.parse::<Timestamp>() {
            Ok(timestamp) => Self::from(timestamp),
            Err(_) => after_the_last_timestamp(text).ok_or(TimeError::Malformed)?,
        };
        match time.0.year() {
            1.. => Ok(time),
            _ => Err(TimeError::Year),
        }
    }
}

fn after_the_last_timestamp(text: &str) -> Option<Time> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into());
    let local = pieces.date().to_datetime(pieces.time()?);
    let time = local.checked_sub(offset).ok().map(Time)?;
    (time > Time::from(Timestamp::MAX)).then_some(time)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of RFC 3339")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let time = text.parse::<Time>().map_err(|error| error.to_string())?;
        Ok(time.to_string())
    }

    #[test]
    fn every_time_from_the_first_year_to_the_last_second_is_read_and_written_as_it_was() {
        for text in [
            "0001-01-01T00:00:00Z",
            "2026-01-01T00:00:00.5Z",
            "9999-12-30T22:00:00.999999999Z",
            "9999-12-30T22:00:01Z",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59.999999999Z",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        let utc = |text| read(text).unwrap();
        assert_eq!(utc("2026-01-01T01:00:00+01:00"), "2026-01-01T00:00:00Z");
        assert_eq!(utc("9999-12-31T23:59:59+01:00"), "9999-12-31T22:59:59Z");
        assert_eq!(utc("9999-12-31T20:00:00-02:00"), "9999-12-31T22:00:00Z");
    }

    #[test]
    fn a_time_outside_of_these_years_or_without_an_offset_is_refused() {
        for text in ["0000-12-31T23:59:59Z", "-000001-01-01T00:00:00Z"] {
            assert_eq!(
                read(text).unwrap_err(),
                "the year must be from 0001 to 9999"
            );
        }
        for text in [
            "9999-12-31T23:59:59",
            "9999-12-31T23:59:59-01:00",
            "9999-12-31",
            "+010000-01-01T00:00:00Z",
            "noon",
            "",
        ] {
            assert_eq!(
                read(text).unwrap_err(),
                "must be a time of RFC 3339, such as 2026-01-01T09:00:00Z",
                "{text}"
            );
        }
    }

    #[test]
    fn the_clock_sees_its_last_time_in_those_that_come_after_it() {
        let time = |text: &str| text.parse::<Time>().unwrap().timestamp();
        assert_eq!(time("9999-12-31T23:59:59Z"), Timestamp::MAX);
        assert_eq!(time("2026-01-01T00:00:00Z").as_second(), 1_767_225_600);
    }
}
