use super::*;
use crate::fingerprint::tests::record;

/// The start of a partition found as it was left.
pub(crate) fn start(number: i32, position: u64, landmark: Option<Fingerprint>) -> Start {
    Start {
        topic: "orders".to_owned(),
        number,
        settled: Extent {
            landmark,
            ..Extent::at(position)
        },
        found: Found::AsLeft,
    }
}

fn place(number: i32) -> Place {
    ("orders".to_owned(), number)
}

fn settled(position: u64) -> Extent {
    let last = record(position as i64 - 1, 7, "a");
    Extent {
        landmark: Some(Fingerprint::of(&last)),
        ..Extent::at(position)
    }
}

/// Partition 0 has the offsets 10 to 99.
fn facts(committed: &[(i32, Extent)], remembered: &[(i32, Extent)]) -> Facts {
    let by_place = |list: &[(i32, Extent)]| {
        let list = list
            .iter()
            .map(|(number, settled)| (place(*number), settled.clone()));
        list.collect()
    };
    Facts {
        committed: by_place(committed),
        remembered: by_place(remembered),
        heads: HashMap::from([(place(0), 10)]),
        ends: HashMap::from([(place(0), 100)]),
    }
}

fn begin(facts: &Facts, policy: Policy) -> (Extent, Found) {
    let mut starts = facts.starts(&[place(0)], policy).unwrap();
    let start = starts.remove(0);
    (start.settled, start.found)
}

fn at(position: u64) -> Extent {
    Extent::at(position)
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
fn a_partition_that_ends_before_what_was_settled_was_recreated() {
    for facts in [
        facts(&[(0, settled(101))], &[]),
        facts(&[], &[(0, settled(101))]),
    ] {
        let recreated = Found::Recreated { settled: 101 };
        assert_eq!(begin(&facts, Policy::Latest), (at(10), recreated));
    }
    let facts = facts(&[(0, settled(100))], &[]);
    assert_eq!(begin(&facts, Policy::Latest).1, Found::AsLeft);
}

#[test]
fn what_the_broker_has_forgotten_goes_on_where_its_last_record_is_looked_for() {
    let known = facts(&[], &[(0, settled(60))]);
    assert_eq!(begin(&known, Policy::Latest), (settled(60), Found::AsLeft));
    let unknown = facts(&[], &[(0, at(60))]);
    let recreated = Found::Recreated { settled: 60 };
    assert_eq!(begin(&unknown, Policy::Latest), (at(10), recreated));
}

#[test]
fn a_record_that_retention_has_taken_is_not_looked_for() {
    let facts = facts(&[(0, settled(10))], &[]);
    assert_eq!(begin(&facts, Policy::Latest), (at(10), Found::AsLeft));
}

#[test]
fn the_last_settled_record_is_fetched_first() {
    let start = |settled: Extent| start(0, settled.position, settled.landmark);
    assert_eq!(start(settled(60)).fetched_from(), 59);
    assert_eq!(start(at(60)).fetched_from(), 60);
}

#[test]
fn what_is_settled_beyond_a_record_that_waits_is_read_again_as_it_was_committed() {
    let extent = Extent {
        beyond: Ranges::new(vec![61..70, 75..80]),
        ..settled(60)
    };
    let metadata = extent.metadata(METADATA_BYTES_MAX).unwrap();
    assert!(metadata.ends_with(" 1+9,5+5"), "{metadata}");
    assert_eq!(Extent::parse(60, Some(&metadata)), extent);
    let plain = settled(60).metadata(METADATA_BYTES_MAX).unwrap();
    assert_eq!(Extent::parse(60, Some(&plain)), settled(60));
    for other in [None, Some("ours"), Some("x 59 7 0 1+9")] {
        assert_eq!(Extent::parse(60, other), at(60), "{other:?}");
    }
    assert_eq!(at(60).metadata(METADATA_BYTES_MAX), None);
    assert_eq!(
        extent.metadata(0),
        Some(plain),
        "a broker that takes little"
    );
}

#[test]
fn what_is_settled_beyond_is_believed_up_to_the_end_and_while_the_record_before_it_is_there() {
    let extent = |position| Extent {
        beyond: Ranges::new(vec![70..80, 95..120]),
        ..settled(position)
    };
    let (found, _) = begin(&facts(&[(0, extent(60))], &[]), Policy::Earliest);
    assert_eq!(found.beyond, Ranges::new(vec![70..80, 95..100]));
    let (found, _) = begin(&facts(&[(0, extent(10))], &[]), Policy::Earliest);
    assert_eq!(found.beyond, Ranges::default(), "retention has taken 9");
}
