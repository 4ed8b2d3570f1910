//! A point in time in a rule's zone: `time.hour`, `time.weekday` and so on.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::value::FactValue;

/// The names behind `time.`.
pub(crate) const TIME_FIELDS: [(&str, TimeField); 9] = [
    ("hour", TimeField::Hour),
    ("minute", TimeField::Minute),
    ("second", TimeField::Second),
    ("day", TimeField::Day),
    ("month", TimeField::Month),
    ("year", TimeField::Year),
    ("weekday", TimeField::Weekday),
    ("weekday_num", TimeField::WeekdayNumber),
    ("timestamp", TimeField::Timestamp),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TimeField {
    Hour,
    Minute,
    Second,
    Day,
    Month,
    Year,
    Weekday,
    WeekdayNumber,
    Timestamp,
}

impl TimeField {
    /// True for all but the name of the weekday.
    pub(crate) fn is_number(self) -> bool {
        self != Self::Weekday
    }
}

pub(crate) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// A timestamp on the calendar and clock of one zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    local: jiff::civil::DateTime,
    unix_seconds: i64,
}

impl Moment {
    pub(crate) fn new(at: Timestamp, zone: &TimeZone) -> Self {
        Self {
            local: zone.to_datetime(at),
            unix_seconds: at.as_second(),
        }
    }

    pub(crate) fn get(&self, field: TimeField) -> FactValue<'static> {
        let number = |value: i64| FactValue::Number(value.into());
        match field {
            TimeField::Hour => number(self.local.hour().into()),
            TimeField::Minute => number(self.local.minute().into()),
            TimeField::Second => number(self.local.second().into()),
            TimeField::Day => number(self.local.day().into()),
            TimeField::Month => number(self.local.month().into()),
            TimeField::Year => number(self.local.year().into()),
            TimeField::WeekdayNumber => number(self.weekday_number().into()),
            TimeField::Timestamp => number(self.unix_seconds),
            TimeField::Weekday => FactValue::Text(self.weekday().as_bytes()),
        }
    }

    /// All fields, for the playground.
    pub(crate) fn to_json(self) -> Value {
        json!({
            "hour": self.local.hour(),
            "minute": self.local.minute(),
            "second": self.local.second(),
            "day": self.local.day(),
            "month": self.local.month(),
            "year": self.local.year(),
            "weekday": self.weekday(),
            "weekday_num": self.weekday_number(),
            "timestamp": self.unix_seconds,
        })
    }

    /// 1 is Monday.
    fn weekday_number(&self) -> i8 {
        self.local.weekday().to_monday_one_offset()
    }

    fn weekday(&self) -> &'static str {
        let from_monday = self.local.weekday().to_monday_zero_offset();
        usize::try_from(from_monday)
            .ok()
            .and_then(|day| WEEKDAYS.get(day))
            .unwrap_or(&"")
    }
}
