use super::*;
use crate::fingerprint::Fingerprint;
use crate::fingerprint::tests::record;
use crate::start_point::tests::start;

fn assignment() -> Assignment {
    let mut assignment = Assignment::new(Arc::default(), 100);
    assignment.add(&start(0, 5, None));
    assignment.add(&start(1, 40, None));
    assignment
}

fn status(assignment: &mut Assignment, number: i32, offset: i64) -> RecordStatus {
    let partition = assignment.find("orders", number).unwrap();
    partition.take_up(&record(offset, 7, "a"))
}

fn take_up(assignment: &mut Assignment, number: i32, offset: i64) -> EpochOffset {
    match status(assignment, number, offset) {
        RecordStatus::Fresh(at) => at,
        other => panic!("{offset} is {other:?}"),
    }
}

/// Positions by partition.
fn positions(uncommitted: &[PartitionCommit]) -> Vec<(i32, u64)> {
    let position = |u: &PartitionCommit| (u.number, u.settled.position);
    uncommitted.iter().map(position).collect()
}

#[test]
fn only_settled_records_are_committed_and_only_once() {
    let mut assignment = assignment();
    let at = take_up(&mut assignment, 1, 40);
    take_up(&mut assignment, 1, 41);
    assert!(assignment.take_uncommitted().is_empty(), "none is settled");
    assignment.of(at).unwrap().mark.settle(40);
    let sent = assignment.take_uncommitted();
    assert_eq!(positions(&sent), [(1, 41)]);
    assert!(assignment.take_uncommitted().is_empty());
    assert!(assignment.is_uncommitted());
    assert_eq!(assignment.confirm(&sent), 1);
    assert!(!assignment.is_uncommitted());
}

#[test]
fn a_commit_names_the_record_that_identifies_its_topic() {
    let mut assignment = assignment();
    let at = take_up(&mut assignment, 0, 5);
    assignment.of(at).unwrap().mark.settle(5);
    let sent = assignment.take_uncommitted();
    let last = Fingerprint::of(&record(5, 7, "a"));
    assert_eq!(sent[0].settled.landmark, Some(last));
}

#[test]
fn a_commit_that_failed_is_sent_again() {
    let mut assignment = assignment();
    let at = take_up(&mut assignment, 0, 5);
    assignment.of(at).unwrap().mark.settle(5);
    assert_eq!(assignment.take_uncommitted().len(), 1);
    assignment.commit_failed();
    assert_eq!(assignment.take_uncommitted().len(), 1);
}

#[test]
fn a_partition_that_came_back_does_not_know_its_former_records() {
    let mut assignment = assignment();
    let before = take_up(&mut assignment, 0, 5);
    assignment.remove("orders", 0).unwrap();
    assignment.add(&start(0, 5, None));
    let after = take_up(&mut assignment, 0, 5);
    assert!(assignment.of(before).is_none());
    assert_eq!(&*assignment.of(after).unwrap().topic, "orders");
}

#[test]
fn a_record_is_not_taken_up_while_its_partition_is_given_up() {
    let mut assignment = assignment();
    assignment.find("orders", 0).unwrap().revoking = true;
    assert_eq!(status(&mut assignment, 0, 5), RecordStatus::Repeated);
}

#[test]
fn records_settled_before_are_not_taken_up_again() {
    let mut assignment = assignment();
    let last = Fingerprint::of(&record(3, 7, "a"));
    assignment.add(&start(2, 5, Some(last)));
    assert_eq!(status(&mut assignment, 2, 3), RecordStatus::Repeated);
    assert_eq!(status(&mut assignment, 2, 4), RecordStatus::Repeated);
    take_up(&mut assignment, 2, 5);
    assert!(assignment.take_uncommitted().is_empty());
}

#[test]
fn a_topic_that_was_recreated_begins_a_new_epoch_and_its_commits_go_down() {
    let mut assignment = assignment();
    let old = take_up(&mut assignment, 1, 40);
    assignment.of(old).unwrap().mark.settle(40);
    let sent = assignment.take_uncommitted();
    assert_eq!(
        status(&mut assignment, 1, 3),
        RecordStatus::Recreated(ReadFrom::Here)
    );
    assert_eq!(assignment.renew("orders", 1, 3), Some(41));
    assert!(assignment.of(old).is_none(), "its loans are fenced");
    // The confirmation of an earlier commit arrives late.
    assignment.confirm(&sent);
    let new = take_up(&mut assignment, 1, 3);
    assert!(assignment.is_uncommitted());
    assert_eq!(positions(&assignment.take_uncommitted()), [(1, 3)]);
    assignment.of(new).unwrap().mark.settle(3);
    assert_eq!(positions(&assignment.take_uncommitted()), [(1, 4)]);
}

#[test]
fn a_partition_with_a_record_in_work_waits_for_its_provider_and_not_for_the_reading() {
    let mut assignment = assignment();
    assert!(assignment.find("orders", 0).unwrap().is_read_on());
    let at = take_up(&mut assignment, 0, 5);
    let partition = assignment.of(at).unwrap();
    assert!(!partition.is_read_on());
    partition.settle(5);
    assert!(partition.is_read_on());
    partition.paused = true;
    assert!(!partition.is_read_on(), "there is no room");
}
