use super::*;

use jiff::ToSpan;
use proptest::prelude::*;

fn times(list: &[&str]) -> Vec<Time> {
    list.iter().map(|time| time.parse().unwrap()).collect()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_next_time_is_today_or_on_the_next_day_and_never_now() {
    let digest = DigestTimes::new(
        times(&["09:00", "17:30"]),
        Vec::new(),
        zone("Europe/Berlin"),
    );
    let rows = [
        ("2026-01-05T07:59:59Z", "2026-01-05T08:00:00Z"),
        ("2026-01-05T08:00:00Z", "2026-01-05T16:30:00Z"),
        ("2026-01-05T16:30:00Z", "2026-01-06T08:00:00Z"),
        ("2026-01-05T23:30:00Z", "2026-01-06T08:00:00Z"),
    ];
    for (now, next) in rows {
        assert_eq!(digest.next_after(at(now)), at(next), "after {now}");
    }
}

#[test]
fn only_the_days_of_the_digest_count_in_its_zone() {
    let days = vec![Weekday::Monday, Weekday::Friday];
    let digest = DigestTimes::new(times(&["00:15"]), days, zone("Asia/Tokyo"));
    // A Sunday in UTC is already Monday in Tokyo.
    assert_eq!(
        digest.next_after(at("2026-01-04T15:00:00Z")),
        at("2026-01-04T15:15:00Z")
    );
    assert_eq!(
        digest.next_after(at("2026-01-04T15:15:00Z")),
        at("2026-01-08T15:15:00Z")
    );
}

#[test]
fn a_skipped_time_is_replaced_by_the_next_valid_minute() {
    let digest = DigestTimes::new(times(&["02:30"]), Vec::new(), zone("Europe/Berlin"));
    // On 2026-03-29 the clock goes from 02:00 to 03:00.
    assert_eq!(
        digest.next_after(at("2026-03-29T00:00:00Z")),
        at("2026-03-29T01:00:00Z")
    );
    assert_eq!(
        digest.next_after(at("2026-03-29T01:00:00Z")),
        at("2026-03-30T00:30:00Z")
    );
}

#[test]
fn a_repeated_time_counts_once() {
    let digest = DigestTimes::new(times(&["02:30"]), Vec::new(), zone("Europe/Berlin"));
    // On 2026-10-25 the clock goes from 03:00 back to 02:00.
    assert_eq!(
        digest.next_after(at("2026-10-24T22:00:00Z")),
        at("2026-10-25T00:30:00Z")
    );
    assert_eq!(
        digest.next_after(at("2026-10-25T00:30:00Z")),
        at("2026-10-26T01:30:00Z")
    );
}

#[test]
fn a_day_that_a_zone_skipped_ends_with_its_gap() {
    let digest = DigestTimes::new(
        times(&["12:00"]),
        vec![Weekday::Friday],
        zone("Pacific/Apia"),
    );
    // 2011-12-30, a Friday, did not exist in Samoa.
    assert_eq!(
        digest.next_after(at("2011-12-29T12:00:00Z")),
        at("2011-12-30T10:00:00Z")
    );
}

/// The naive answer: walks minute by minute, and reads the local clock and calendar.
fn naive(times: &[Time], days: &[Weekday], zone: &TimeZone, now: Timestamp) -> Timestamp {
    let first = Timestamp::from_second(now.as_second().div_euclid(60) * 60 + 60).unwrap();
    let mut minute = first;
    loop {
        let local = zone.to_datetime(minute);
        let before = zone.to_datetime(minute - 1.minute());
        let is_on = |date: Date| days.is_empty() || days.contains(&date.weekday());
        let is_first = zone.to_ambiguous_timestamp(local).offset();
        let is_first = match is_first {
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).unwrap() == minute,
            _ => true,
        };
        if is_first && is_on(local.date()) && times.contains(&local.time()) {
            return minute;
        }
        // The clock jumped ahead: a time between the two readings was skipped.
        let mut skipped = before + 1.minute();
        while skipped < local {
            if is_on(skipped.date()) && times.contains(&skipped.time()) {
                return minute;
            }
            skipped += 1.minute();
        }
        minute += 1.minute();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_next_time_is_the_one_that_a_walk_over_all_minutes_finds(
        second in 1_760_000_000i64..1_800_000_000,
        minutes in proptest::collection::vec(0i8..60, 1..4),
        hours in proptest::collection::vec(0i8..24, 1..4),
        days in proptest::collection::vec(1i8..=7, 0..4),
        zone_name in proptest::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
        ]),
    ) {
        let pairs = hours.iter().zip(&minutes);
        let times: Vec<_> = pairs.map(|(hour, minute)| Time::constant(*hour, *minute, 0, 0)).collect();
        let days: Vec<_> = days.iter().map(|day| Weekday::from_monday_one_offset(*day).unwrap()).collect();
        let zone = zone(zone_name);
        let now = Timestamp::from_second(second).unwrap();
        let digest = DigestTimes::new(times.clone(), days.clone(), zone.clone());
        prop_assert_eq!(digest.next_after(now), naive(&times, &days, &zone, now));
    }

    #[test]
    fn near_a_change_of_the_clock_each_time_is_due_once_a_day(
        minutes in 0i64..(3 * 24 * 60),
        hour in 0i8..4,
        minute in 0i8..60,
        start in proptest::sample::select(vec!["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z"]),
    ) {
        let zone = zone("Europe/Berlin");
        let times = vec![Time::constant(hour, minute, 0, 0)];
        let now = at(start) + minutes.minutes();
        let digest = DigestTimes::new(times.clone(), Vec::new(), zone.clone());
        let next = digest.next_after(now);
        prop_assert_eq!(next, naive(&times, &[], &zone, now));
        let after = digest.next_after(next);
        let days = (zone.to_datetime(after).date() - zone.to_datetime(next).date()).get_days();
        prop_assert_eq!(days, 1);
    }
}
