//! Clauses about timers: what is due is taken by one caller, and moves with the record that it belongs to.

use std::time::Duration;

use acteon_core::state::{DueWork, EventWrite, GroupTiming, Token};

use super::StateHarness;
use super::groups::{group, member};
use super::leases::in_parallel;
use super::subject::*;
use crate::events::reserving;

/// An open event whose timer is due after this many units.
fn due<H: StateHarness>(name: &str, expected: u64, units: Option<u32>) -> EventWrite {
    EventWrite {
        due_in: units.map(|units| H::UNIT * units),
        ..event(name, &["db"]).write(expected)
    }
}

/// The events that are taken, for [`LEASE`].
async fn taken<H: StateHarness>(subject: &Subject<'_, H>, limit: usize) -> Vec<String> {
    let events = subject.due(limit, Token::random()).await.events;
    let mut names: Vec<_> = events
        .iter()
        .map(|e| e.event.fingerprint.to_string())
        .collect();
    names.sort();
    names
}

/// Also when others are due.
pub async fn a_timer_is_due_when_its_time_has_passed_and_not_before<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for (name, units) in [("a", 2), ("b", 4), ("c", 6)] {
        subject
            .take(&reserving(due::<H>(name, 0, Some(units))))
            .await;
    }
    subject.take(&reserving(due::<H>("never", 0, None))).await;
    subject.pass(1.5).await;
    assert!(taken(&subject, 9).await.is_empty());
    subject.pass(1.0).await;
    assert_eq!(taken(&subject, 9).await, ["a"]);
    subject.pass(2.0).await;
    assert_eq!(taken(&subject, 9).await, ["b"]);
}

/// Unless it was written meanwhile.
pub async fn what_is_due_is_taken_by_one_caller_and_falls_due_again_after_its_lease<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let peer = subject.through(harness.peer().await);
    for name in ["a", "b", "c"] {
        subject.take(&reserving(due::<H>(name, 0, Some(0)))).await;
    }
    let first = taken(&subject, 2).await;
    assert_eq!(first.len(), 2);
    let mut rest = taken(&peer, 9).await;
    assert_eq!(rest.len(), 1);
    assert!(taken(&subject, 9).await.is_empty());
    subject.take(&reserving(due::<H>(&first[0], 1, None))).await;
    subject.pass(f64::from(LEASE) + 0.5).await;
    rest.push(first[1].clone());
    rest.sort();
    assert_eq!(taken(&peer, 9).await, rest);
}

/// However many instances ask at once.
pub async fn of_64_tasks_that_take_what_is_due_each_event_goes_to_one<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    let names: Vec<_> = (10..90).map(|number| format!("e{number}")).collect();
    for name in &names {
        subject.take(&reserving(due::<H>(name, 0, Some(0)))).await;
    }
    let found = in_parallel(&states, 64, |state| async move {
        let work = state.take_due(3, H::UNIT * 1000, Token::random()).await;
        let work = work.expect("an answer");
        let taken = work.events.iter().map(|e| e.event.fingerprint.to_string());
        taken.collect::<Vec<_>>()
    })
    .await;
    let mut found = found.concat();
    found.sort();
    assert_eq!(found, names);
}

/// A write sets another timer or none, whatever the former one was.
pub async fn a_timer_moves_with_the_record_of_its_event<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for name in ["later", "sooner", "none", "same"] {
        subject.take(&reserving(due::<H>(name, 0, Some(4)))).await;
    }
    subject
        .take(&reserving(due::<H>("later", 1, Some(6))))
        .await;
    subject
        .take(&reserving(due::<H>("sooner", 1, Some(2))))
        .await;
    subject.take(&reserving(due::<H>("none", 1, None))).await;
    let conflict = subject.ask(&reserving(due::<H>("same", 7, None))).await;
    assert!(!matches!(
        conflict,
        acteon_core::state::ReservationAnswer::Granted(_)
    ));
    for (passed, expected, version) in [(2.5, "sooner", 2), (2.0, "same", 1), (2.0, "later", 2)] {
        subject.pass(passed).await;
        assert_eq!(taken(&subject, 9).await, [expected]);
        let finished = due::<H>(expected, version, None);
        subject.take(&reserving(finished)).await;
    }
}

/// `None` if there is no timer. What is taken counts with the end of its lease.
pub async fn the_next_due_time_is_that_of_the_earliest_timer<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let next = async || subject.state.next_due().await.expect("an answer");
    let assert_about = |found: Option<Duration>, units: f64| {
        let found = found.expect("a timer").as_secs_f64() / H::UNIT.as_secs_f64();
        assert!(
            (units - 0.5..=units).contains(&found),
            "{found} is not {units}"
        );
    };
    assert_eq!(next().await, None);
    subject.take(&reserving(due::<H>("never", 0, None))).await;
    assert_eq!(next().await, None);
    subject.take(&reserving(due::<H>("a", 0, Some(6)))).await;
    assert_about(next().await, 6.0);
    subject.take(&reserving(due::<H>("b", 0, Some(2)))).await;
    assert_about(next().await, 2.0);
    subject.pass(3.0).await;
    assert_eq!(next().await, Some(Duration::ZERO));
    assert_eq!(taken(&subject, 9).await, ["b"]);
    assert_about(next().await, 3.0);
    subject.take(&reserving(due::<H>("a", 1, None))).await;
    assert_about(next().await, f64::from(LEASE));
}

/// Of whichever kind they are.
pub async fn due_groups_and_events_are_taken_in_one_order<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let now = subject.now().await;
    for (number, name) in (1..).zip(["a", "b", "c", "d"]) {
        if number % 2 == 0 {
            let mut append = member::<H>(&group(name), name);
            append.terms.timing = GroupTiming::At(now + H::UNIT * number);
            subject.join(append).await;
        } else {
            let timer = due::<H>(name, 0, Some(number));
            subject.take(&reserving(timer)).await;
        }
    }
    subject.pass(5.0).await;
    let mut taken = Vec::new();
    for limit in [1, 1, 1, 9] {
        let work = subject.due(limit, Token::random()).await;
        assert_eq!(work.len(), 1);
        taken.extend(names(&work));
    }
    assert_eq!(taken, ["a", "of b", "c", "of d"]);
    assert!(subject.due(9, Token::random()).await.is_empty());
}

/// As far as they were not written since.
pub async fn due_events_asked_for_again_with_the_same_token_are_the_same<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    for name in ["a", "b", "c"] {
        subject.take(&reserving(due::<H>(name, 0, Some(0)))).await;
    }
    let token = Token::random();
    let mut first = names(&subject.due(2, token).await);
    let mut again = names(&subject.due(2, token).await);
    first.sort();
    again.sort();
    assert_eq!(first, again);
    subject.take(&reserving(due::<H>(&first[0], 1, None))).await;
    assert_eq!(names(&subject.due(2, token).await), [first[1].clone()]);
    let others = names(&subject.due(9, Token::random()).await);
    assert!(!first.contains(&others[0]));
    assert_eq!(others.len(), 1);
}

/// With what was set last.
pub async fn timers_survive_where_they_are_durable<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    if !subject.state.capabilities().durable {
        return;
    }
    subject.take(&reserving(due::<H>("a", 0, Some(9)))).await;
    subject.take(&reserving(due::<H>("a", 1, Some(2)))).await;
    subject.take(&reserving(due::<H>("b", 0, Some(2)))).await;
    subject.take(&reserving(due::<H>("b", 1, None))).await;
    let reopened = subject.through(harness.reopened().await);
    reopened.pass(2.5).await;
    assert_eq!(taken(&reopened, 9).await, ["a"]);
}

/// The fingerprints of the events, and the ids of the groups.
fn names(work: &DueWork) -> Vec<String> {
    let events = work.events.iter().map(|e| e.event.fingerprint.to_string());
    let groups = work.groups.iter().map(|group| group.name.id.to_string());
    events.chain(groups).collect()
}
