use super::*;
use crate::start_point::tests::settled;

fn partition(number: i32) -> TopicPartition {
    ("orders".to_owned(), number)
}

/// Partition 0 has the offsets 10 to 99.
fn facts(committed: &[(i32, Extent)], former: &[(i32, Extent)]) -> Facts {
    let by_partition = |list: &[(i32, Extent)]| {
        let list = list
            .iter()
            .map(|(number, settled)| (partition(*number), settled.clone()));
        list.collect()
    };
    Facts {
        committed: by_partition(committed),
        former: by_partition(former),
        heads: HashMap::from([(partition(0), 10)]),
        ends: HashMap::from([(partition(0), 100)]),
    }
}

fn begin(facts: &Facts, policy: Policy) -> (Extent, StartKind) {
    let mut starts = facts.starts(&[partition(0)], policy).unwrap();
    let start = starts.remove(0);
    (start.settled, start.kind)
}

fn at(position: u64) -> Extent {
    Extent::at(position)
}

#[test]
fn a_group_that_never_committed_begins_where_start_says() {
    let facts = facts(&[], &[]);
    assert_eq!(begin(&facts, Policy::Earliest), (at(10), StartKind::Fresh));
    assert_eq!(begin(&facts, Policy::Latest), (at(100), StartKind::Fresh));
}

#[test]
fn a_new_partition_of_a_known_group_begins_with_its_first_record() {
    for facts in [facts(&[(1, at(5))], &[]), facts(&[], &[(1, at(5))])] {
        assert_eq!(begin(&facts, Policy::Latest), (at(10), StartKind::Fresh));
    }
}

#[test]
fn a_commit_takes_precedence_over_a_former_extent() {
    let facts = facts(&[(0, settled(60))], &[(0, settled(50))]);
    let found = begin(&facts, Policy::Latest);
    assert_eq!(found, (settled(60), StartKind::AsLeft));
}

#[test]
fn a_partition_that_ends_before_what_was_settled_was_recreated() {
    for facts in [
        facts(&[(0, settled(101))], &[]),
        facts(&[], &[(0, settled(101))]),
    ] {
        let recreated = StartKind::Recreated { settled: 101 };
        assert_eq!(begin(&facts, Policy::Latest), (at(10), recreated));
    }
    let facts = facts(&[(0, settled(100))], &[]);
    assert_eq!(begin(&facts, Policy::Latest).1, StartKind::AsLeft);
}

#[test]
fn what_the_broker_has_forgotten_goes_on_where_its_last_record_is_looked_for() {
    let known = facts(&[], &[(0, settled(60))]);
    assert_eq!(
        begin(&known, Policy::Latest),
        (settled(60), StartKind::AsLeft)
    );
    let unknown = facts(&[], &[(0, at(60))]);
    let recreated = StartKind::Recreated { settled: 60 };
    assert_eq!(begin(&unknown, Policy::Latest), (at(10), recreated));
}

#[test]
fn a_record_that_retention_has_taken_is_not_looked_for() {
    let facts = facts(&[(0, settled(10))], &[]);
    assert_eq!(begin(&facts, Policy::Latest), (at(10), StartKind::AsLeft));
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
