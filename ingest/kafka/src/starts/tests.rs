use super::*;
use crate::fingerprint::tests::record;

/// Where a partition begins that was left so.
pub(crate) fn start(number: i32, position: u64, last: Option<Fingerprint>) -> Start {
    Start {
        topic: "orders".to_owned(),
        number,
        settled: Prefix { position, last },
        found: Found::AsLeft,
    }
}

fn place(number: i32) -> Place {
    ("orders".to_owned(), number)
}

fn settled(position: u64) -> Prefix {
    let last = record(position as i64 - 1, 7, "a");
    Prefix {
        position,
        last: Some(Fingerprint::of(&last)),
    }
}

/// Partition 0 begins with offset 10 and ends before 100.
fn facts(committed: &[(i32, Prefix)], remembered: &[(i32, Prefix)]) -> Facts {
    let by_place = |list: &[(i32, Prefix)]| {
        let list = list
            .iter()
            .map(|(number, settled)| (place(*number), *settled));
        list.collect()
    };
    Facts {
        committed: by_place(committed),
        remembered: by_place(remembered),
        heads: HashMap::from([(place(0), 10)]),
        ends: HashMap::from([(place(0), 100)]),
    }
}

fn begin(facts: &Facts, policy: Policy) -> (Prefix, Found) {
    let mut starts = facts.starts(&[place(0)], policy).unwrap();
    let start = starts.remove(0);
    (start.settled, start.found)
}

fn at(position: u64) -> Prefix {
    Prefix {
        position,
        last: None,
    }
}

#[test]
fn a_group_that_never_committed_begins_where_start_says() {
    let facts = facts(&[], &[]);
    assert_eq!(begin(&facts, Policy::Earliest), (at(10), Found::Fresh));
    assert_eq!(begin(&facts, Policy::Latest), (at(100), Found::Fresh));
}

#[test]
fn a_new_partition_of_a_known_group_begins_with_its_first_record() {
    for facts in [facts(&[(1, at(5))], &[]), facts(&[], &[(1, at(5))])] {
        assert_eq!(begin(&facts, Policy::Latest), (at(10), Found::Fresh));
    }
}

#[test]
fn what_was_committed_goes_before_what_is_remembered() {
    let facts = facts(&[(0, settled(60))], &[(0, settled(50))]);
    let found = begin(&facts, Policy::Latest);
    assert_eq!(found, (settled(60), Found::AsLeft));
}

#[test]
fn a_partition_that_ends_before_what_was_settled_was_made_anew() {
    for facts in [
        facts(&[(0, settled(101))], &[]),
        facts(&[], &[(0, settled(101))]),
    ] {
        let anew = Found::Anew { settled: 101 };
        assert_eq!(begin(&facts, Policy::Latest), (at(10), anew));
    }
    let facts = facts(&[(0, settled(100))], &[]);
    assert_eq!(begin(&facts, Policy::Latest).1, Found::AsLeft);
}

#[test]
fn what_the_broker_has_forgotten_goes_on_where_its_last_record_is_looked_for() {
    let known = facts(&[], &[(0, settled(60))]);
    assert_eq!(begin(&known, Policy::Latest), (settled(60), Found::AsLeft));
    let unknown = facts(&[], &[(0, at(60))]);
    let anew = Found::Anew { settled: 60 };
    assert_eq!(begin(&unknown, Policy::Latest), (at(10), anew));
}

#[test]
fn a_record_that_retention_has_taken_is_not_looked_for() {
    let facts = facts(&[(0, settled(10))], &[]);
    assert_eq!(begin(&facts, Policy::Latest), (at(10), Found::AsLeft));
}

#[test]
fn the_last_settled_record_is_fetched_first() {
    let start = |settled: Prefix| start(0, settled.position, settled.last);
    assert_eq!(start(settled(60)).fetched_from(), 59);
    assert_eq!(start(at(60)).fetched_from(), 60);
}
