//! The times of a digest: some minutes of the day, on some days of the week, in one zone.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

/// The maximum number of times a day.
pub const TIMES_MAX: usize = 24;
/// The number of days of a week.
pub const DAYS_MAX: usize = 7;
/// How many days are searched. A week has each of its days; one more on each side covers a change of the date by the
/// offset.
const SEARCHED_DAYS: i64 = 9;

/// When a digest is sent: each of these times on each of these days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestTimes {
    times: Vec<Time>,
    days: Vec<Weekday>,
    zone: TimeZone,
}

impl DigestTimes {
    /// At these times on these days; on every day if `days` is empty. Repeated entries count once.
    pub fn new(mut times: Vec<Time>, days: Vec<Weekday>, zone: TimeZone) -> Self {
        times.sort_unstable();
        times.dedup();
        Self { times, days, zone }
    }

    /// The first time after `now`. A time that a change of the clock skips is replaced by the end of the gap, and one
    /// that the change repeats counts only when it comes first.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        let today = self.zone.to_datetime(now).date();
        let dates = (-1..SEARCHED_DAYS).filter_map(|days| {
            let date = today.checked_add(Span::new().days(days)).ok()?;
            self.is_on(date).then_some(date)
        });
        let instants = dates.flat_map(|date| self.times.iter().map(move |time| (date, *time)));
        let instants = instants.filter_map(|(date, time)| self.instant(date, time));
        let next = instants.filter(|instant| *instant > now).min();
        next.unwrap_or(Timestamp::MAX)
    }

    fn is_on(&self, date: Date) -> bool {
        self.days.is_empty() || self.days.contains(&date.weekday())
    }

    fn instant(&self, date: Date, time: Time) -> Option<Timestamp> {
        let local = date.to_datetime(time);
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                let after_gap = before.to_timestamp(local).ok()?;
                let later = after_gap.checked_add(SignedDuration::from_secs(1)).ok()?;
                let change = self.zone.preceding(later).next();
                Some(change.map_or(after_gap, |change| change.timestamp()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
