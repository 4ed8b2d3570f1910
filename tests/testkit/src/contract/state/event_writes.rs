//! Clauses about writing events: compare and set, whole or not at all, once per token.

use std::sync::Arc;

use acteon_core::state::{
    Answer, EventEnd, EventPhase, EventStateQuestion, EventWrite, Question, Reservation,
    ReservationAnswer, StoredEvent,
};
use bytes::Bytes;

use super::StateHarness;
use super::leases::in_parallel;
use super::subject::*;
use crate::events::reserving;

/// The present record.
async fn stored<H: StateHarness>(subject: &Subject<'_, H>, name: &str) -> Option<Arc<StoredEvent>> {
    let question = Question::Event(event(name, &[]).id().key());
    match subject.gather(&[question]).await.remove(0) {
        Answer::Event(stored) => stored,
        other => panic!("expected an event, but got {other:?}"),
    }
}

/// An open event with this body.
fn with_body(expected: u64, body: &'static str) -> EventWrite {
    let mut write = event("e", &["db"]).write(expected);
    write.record.body = Bytes::from_static(body.as_bytes());
    write
}

#[track_caller]
fn assert_conflict(answer: &ReservationAnswer, present: Option<&Arc<StoredEvent>>) {
    let ReservationAnswer::Conflict(found) = answer else {
        panic!("expected a conflict, but got {answer:?}");
    };
    assert_eq!(found.as_ref(), present);
}

/// With everything that was written, byte for byte.
pub async fn an_event_is_answered_as_it_was_written<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    assert_eq!(stored(&subject, "e").await, None);
    let mut write = event("e", &["db", "", "é"]).write(0);
    write.record.body = Bytes::from_static(b"\0\xff{}");
    write.record.updated_at = "2026-01-01T00:00:00.000001Z".parse().expect("a time");
    subject.take(&reserving(write.clone())).await;
    let expected = StoredEvent {
        event: write.event,
        version: 1,
        record: write.record,
    };
    assert_eq!(stored(&subject, "e").await.as_deref(), Some(&expected));
}

/// Version 0 is that of an event that does not exist, or is forgotten.
pub async fn a_write_expects_a_version_and_gives_the_next_one<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    assert_conflict(&subject.ask(&reserving(with_body(1, "x"))).await, None);
    for expected in 0..3 {
        subject.take(&reserving(with_body(expected, "x"))).await;
        let found = stored(&subject, "e").await.expect("the event");
        assert_eq!(found.version, expected + 1);
    }
    let mut end = with_body(3, "x");
    end.record.phase = EventPhase::Ended(H::UNIT * 2);
    subject.take(&reserving(end)).await;
    subject.pass(2.5).await;
    assert_conflict(&subject.ask(&reserving(with_body(4, "x"))).await, None);
    subject.take(&reserving(with_body(0, "x"))).await;
}

/// Not even the lease and the dedup key.
pub async fn a_conflict_answers_the_present_record_and_takes_nothing<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.take(&reserving(with_body(0, "first"))).await;
    let present = stored(&subject, "e").await;
    for expected in [0, 2] {
        let mut whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 1)]);
        whole.step = reserving(with_body(expected, "second")).step;
        assert_conflict(&subject.ask(&whole).await, present.as_ref());
    }
    assert_eq!(stored(&subject, "e").await, present);
    subject.take(&id("a")).await;
    subject.take(&key::<H>("k")).await;
    subject.take(&place::<H>("q", 1)).await;
}

/// The obstacles of other parts come first, and then nothing is written.
pub async fn a_refused_reservation_writes_nothing<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.take(&key::<H>("k")).await;
    let mut whole = key::<H>("k");
    whole.step = reserving(with_body(0, "x")).step;
    let answer = subject.ask(&whole).await;
    assert!(matches!(answer, ReservationAnswer::Busy(_)), "{answer:?}");
    assert_eq!(stored(&subject, "e").await, None);
}

/// Each sees what those before it wrote.
pub async fn reports_of_one_event_in_a_slice_write_one_version_each<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let bodies = ["first", "second", "third"];
    let slice = (0..)
        .zip(bodies)
        .map(|(at, body)| reserving(with_body(at, body)));
    let answers = subject.reserve_named(&slice.collect::<Vec<_>>()).await;
    answers.iter().for_each(assert_granted);
    let found = stored(&subject, "e").await.expect("the event");
    assert_eq!((found.version, &found.record.body[..]), (3, &b"third"[..]));
    let slice = [
        with_body(3, "fourth"),
        with_body(3, "lost"),
        with_body(4, "decided without the fourth"),
    ];
    let answers = subject.reserve_named(&slice.map(reserving)).await;
    assert_granted(&answers[0]);
    let present = stored(&subject, "e").await;
    assert_conflict(&answers[1], present.as_ref());
    assert_conflict(&answers[2], present.as_ref());
}

/// It was decided from what the refused one would have written, even if another writer's version is the one it expects.
pub async fn a_write_after_a_refused_one_of_its_event_in_a_slice_is_refused<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    subject.take(&reserving(with_body(0, "another's"))).await;
    let present = stored(&subject, "e").await;
    let slice = [with_body(0, "first"), with_body(1, "second")];
    let answers = subject.reserve_named(&slice.map(reserving)).await;
    for answer in &answers {
        assert_conflict(answer, present.as_ref());
    }
    subject.take(&id("a")).await;
    let busy = Reservation {
        lease: id("a").lease,
        ..reserving(with_body(0, "first"))
    };
    let slice = [busy, reserving(with_body(1, "second"))];
    let answers = subject.reserve_named(&slice).await;
    assert_busy(&answers[0], id("a").lease.as_ref().expect("a lease"));
    assert_conflict(&answers[1], present.as_ref());
}

/// On whichever instance.
pub async fn of_64_tasks_that_write_the_same_version_one_wins<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    for version in 0..4 {
        let won = in_parallel(&states, 64, |state| async move {
            let asked = [reserving(with_body(version, "x"))];
            let answers = state.reserve(&asked, H::UNIT).await.expect("an answer");
            matches!(answers[0], ReservationAnswer::Granted(_))
        })
        .await;
        assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    }
}

/// As after an answer that was lost.
pub async fn a_write_asked_again_is_granted_and_made_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = reserving(with_body(0, "x"));
    for _ in 0..3 {
        assert_granted(&subject.ask_again(&asked).await);
        assert_eq!(stored(&subject, "e").await.map(|e| e.version), Some(1));
    }
    subject.take(&reserving(with_body(1, "y"))).await;
    let present = stored(&subject, "e").await;
    assert_conflict(&subject.ask_again(&asked).await, present.as_ref());
}

/// The hold ends, the event stays.
pub async fn what_a_step_wrote_is_not_released<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut whole = key::<H>("k");
    whole.step = reserving(with_body(0, "x")).step;
    let held = subject.take(&whole).await;
    subject.fail(&held).await;
    subject.take(&key::<H>("k")).await;
    assert_eq!(stored(&subject, "e").await.map(|e| e.version), Some(1));
}

/// After it, and without a grace, it has the state that it has ended in.
pub async fn an_event_that_ended_keeps_its_state_for_the_grace_of_the_question<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let outage = event("e", &["db"]);
    subject.write(std::slice::from_ref(&outage)).await;
    let mut end = ended(&outage, H::UNIT * 20).write(1);
    end.record.ended = Some(EventEnd {
        at: subject.now().await,
        from: "open".into(),
    });
    subject.take(&reserving(end)).await;
    let within = async |units: u32| {
        let question = Question::EventState(EventStateQuestion {
            event: outage.id().key(),
            grace: H::UNIT * units,
        });
        match subject.gather(&[question]).await.remove(0) {
            Answer::EventState(Some(state)) => state.to_string(),
            other => panic!("expected a state, but got {other:?}"),
        }
    };
    assert_eq!(within(0).await, "closed");
    assert_eq!(within(4).await, "open");
    subject.pass(4.5).await;
    assert_eq!(within(4).await, "closed");
    assert_eq!(within(9).await, "open");
    subject.take(&reserving(outage.write(2))).await;
    assert_eq!(within(0).await, "open");
}
