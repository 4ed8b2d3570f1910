//! Clauses about writing silences: compare and set, bounded, seen by every instance.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::State;
use acteon_core::scope::Scope;
use acteon_core::silence::Silence;
use acteon_core::state::{LiveSilences, SilenceAnswer, SilenceQuery, SilenceWrite, StoredSilence};
use jiff::{SignedDuration, Timestamp};

use super::StateHarness;
use super::leases::in_parallel;
use super::subject::*;
use crate::records::silence;

/// More than a clause writes.
const LIVE_MAX: usize = 100;

impl<H: StateHarness> Subject<'_, H> {
    /// Writes a silence of which this version is present.
    pub(super) async fn try_silence(&self, silence: &Silence, expected: u64) -> SilenceAnswer {
        self.try_bounded(silence, expected, LIVE_MAX).await
    }

    async fn try_bounded(
        &self,
        silence: &Silence,
        expected: u64,
        live_max: usize,
    ) -> SilenceAnswer {
        let write = write(silence, expected, live_max);
        let answer = self.state.write_silence(&write).await;
        answer.expect("an answer")
    }

    /// Writes a silence, and fails the clause if it is refused.
    pub(super) async fn silence(&self, silence: &Silence, expected: u64) {
        let answer = self.try_silence(silence, expected).await;
        assert_eq!(answer, SilenceAnswer::Written(expected + 1));
    }

    pub(super) async fn find_silence(&self, id: &str) -> Option<Arc<StoredSilence>> {
        let found = self.state.silence(&Scope::everything(), id).await;
        found.expect("an answer")
    }
}

pub(super) fn everything() -> SilenceQuery {
    SilenceQuery {
        scope: Scope::everything(),
        namespace: None,
        tenant: None,
        phase: None,
        after: None,
        limit: 100,
    }
}

/// The numbers of the silences that a query lists on all its pages.
pub(super) async fn listed<H: StateHarness>(
    subject: &Subject<'_, H>,
    query: &SilenceQuery,
) -> Vec<u32> {
    let mut query = query.clone();
    let mut numbers = Vec::new();
    loop {
        let page = subject.state.silences(&query).await.expect("a page");
        assert!(page.silences.len() <= query.limit);
        let number = |id: &str| (0..100).find(|number| silence(*number).id == id);
        let ids = page.silences.iter().map(|stored| &stored.silence.id);
        numbers.extend(ids.map(|id| number(id).expect("a number")));
        match page.next {
            None => return numbers,
            next => query.after = next,
        }
    }
}

fn write(silence: &Silence, expected: u64, live_max: usize) -> SilenceWrite {
    SilenceWrite {
        silence: silence.clone(),
        expected,
        live_max,
    }
}

/// The silence with an end that no clause reaches.
fn lasting(silence: Silence, now: Timestamp) -> Silence {
    Silence {
        ends_at: now + SignedDuration::from_hours(24),
        ..silence
    }
}

pub(super) fn finished(silence: Silence) -> Silence {
    Silence {
        is_finished: true,
        ..silence
    }
}

/// The silences that may still withhold something, in the order of their ids.
async fn live(state: &dyn State) -> Vec<Arc<StoredSilence>> {
    let LiveSilences { silences, .. } = state.live_silences(None).await.expect("an answer");
    let mut silences = silences.expect("no revision is known");
    silences.sort_by(|a, b| a.silence.id.cmp(&b.silence.id));
    silences
}

async fn revision(state: &dyn State) -> u64 {
    let live = state.live_silences(None).await.expect("an answer");
    live.revision
}

/// With everything that was written, to the nanosecond.
pub async fn a_silence_is_written_and_found<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut written = silence(1);
    assert_eq!(subject.find_silence(&written.id).await, None);
    let texts = ["", "a\"b\\", "é\n'; --", "[\"a\"]", "🔕"];
    let matcher = written.matchers[0].clone();
    let named = texts.map(|text| {
        let mut matcher = matcher.clone();
        matcher.name = text.into();
        matcher.value = text.into();
        matcher
    });
    written.matchers = named.to_vec();
    written.namespace = "n\"s'é".into();
    written.starts_at += SignedDuration::from_nanos(1);
    for expected in 0..3 {
        written.comment = texts[usize::try_from(expected).expect("a small number") + 1].into();
        written.ends_at += SignedDuration::from_nanos(1);
        subject.silence(&written, expected).await;
        let stored = StoredSilence {
            version: expected + 1,
            silence: written.clone(),
        };
        let found = subject.find_silence(&written.id).await;
        assert_eq!(found.as_deref(), Some(&stored));
    }
    assert_eq!(subject.find_silence("").await, None);
    assert_eq!(subject.find_silence("' OR 1 = 1 --").await, None);
}

/// Neither as a new one nor in an earlier or later version.
pub async fn a_silence_is_not_written_over_another_write<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let first = silence(1);
    let unknown = subject.try_silence(&first, 1).await;
    assert_eq!(unknown, SilenceAnswer::Conflict(None));
    subject.silence(&first, 0).await;
    subject.silence(&first, 1).await;
    let present = subject.find_silence(&first.id).await;
    let other = Silence {
        comment: "another".into(),
        ..first
    };
    for expected in [0, 1, 3, u64::MAX] {
        let refused = subject.try_silence(&other, expected).await;
        assert_eq!(refused, SilenceAnswer::Conflict(present.clone()));
    }
    assert_eq!(subject.find_silence(&other.id).await, present);
    subject.silence(&other, 2).await;
}

/// The answer was lost, so the caller writes once more, and is answered its own silence.
pub async fn a_silence_written_twice_is_written_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let written = silence(1);
    subject.silence(&written, 0).await;
    let before = revision(&*subject.state).await;
    for _ in 0..2 {
        let SilenceAnswer::Conflict(Some(present)) = subject.try_silence(&written, 0).await else {
            panic!("it is present");
        };
        assert_eq!((present.version, &present.silence), (1, &written));
    }
    assert_eq!(revision(&*subject.state).await, before);
    assert_eq!(listed(&subject, &everything()).await.len(), 1);
}

/// Only new ones are refused. One that has ended takes no place, although it is not finished yet; but only as many
/// again may wait for that.
pub async fn silences_are_bounded_by_namespace_and_tenant<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let now = subject.now().await;
    let silence = |number| lasting(silence(number), now);
    let ended = |number| Silence {
        ends_at: now,
        ..silence(number)
    };
    let bounded = async |silence: &Silence, expected| {
        let answer = subject.try_bounded(silence, expected, 3).await;
        assert_eq!(answer, SilenceAnswer::Written(expected + 1));
    };
    for number in 0..3 {
        bounded(&silence(number), 0).await;
    }
    let full = subject.try_bounded(&silence(3), 0, 3).await;
    assert_eq!(full, SilenceAnswer::Full);
    assert_eq!(subject.find_silence(&silence(3).id).await, None);
    let known = subject.try_bounded(&silence(2), 0, 3).await;
    assert!(matches!(known, SilenceAnswer::Conflict(Some(_))));
    let elsewhere = [("ns2", "t1"), ("ns", "t2"), ("*", "t1"), ("ns", "*")];
    for (number, (namespace, tenant)) in (10..).zip(elsewhere) {
        let other = Silence {
            namespace: namespace.into(),
            tenant: tenant.into(),
            ..silence(number)
        };
        bounded(&other, 0).await;
    }
    bounded(&silence(1), 1).await;
    bounded(&finished(silence(1)), 2).await;
    bounded(&silence(3), 0).await;
    let full = subject.try_bounded(&silence(4), 0, 3).await;
    assert_eq!(full, SilenceAnswer::Full);
    for number in 3..7 {
        bounded(&ended(number), 1).await;
        if number < 6 {
            bounded(&silence(number + 1), 0).await;
        }
    }
    let full = subject.try_bounded(&silence(7), 0, 3).await;
    assert_eq!(full, SilenceAnswer::Full);
    bounded(&finished(ended(3)), 2).await;
    bounded(&silence(7), 0).await;
}

/// The ones that ended first go, and none of another tenant.
pub async fn finished_silences_make_room_for_each_other<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let now = subject.now().await;
    let of_tenant = |tenant: &str, number: u32, age: u32| Silence {
        tenant: tenant.into(),
        ends_at: now - H::UNIT * age,
        ..silence(number)
    };
    for (number, age) in (0..).zip([1, 5, 2, 4, 3]) {
        for (tenant, number) in [("t1", number), ("t2", 10 + number)] {
            let ended = of_tenant(tenant, number, age);
            let live_max = if tenant == "t1" { 3 } else { 5 };
            let answer = subject.try_bounded(&ended, 0, live_max).await;
            assert_eq!(answer, SilenceAnswer::Written(1));
            let answer = subject.try_bounded(&finished(ended), 1, live_max).await;
            assert_eq!(answer, SilenceAnswer::Written(2));
        }
    }
    subject.silence(&silence(20), 0).await;
    let mut query = everything();
    query.tenant = Some("t1".into());
    assert_eq!(listed(&subject, &query).await, [20, 4, 2, 0]);
    query.tenant = Some("t2".into());
    assert_eq!(listed(&subject, &query).await, [14, 13, 12, 11, 10]);
}

/// Whether they have begun or ended.
pub async fn live_silences_are_those_that_are_not_finished<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    assert!(live(&*subject.state).await.is_empty());
    let now = subject.now().await;
    let around = |number: u32, starts_in: f64, ends_in: f64| {
        let time = |units: f64| {
            let offset = SignedDuration::try_from(H::UNIT.mul_f64(units.abs()));
            let offset = offset.expect("a short time");
            if units < 0.0 {
                now - offset
            } else {
                now + offset
            }
        };
        Silence {
            starts_at: time(starts_in),
            ends_at: time(ends_in),
            ..silence(number)
        }
    };
    let silences = [
        around(0, -9.0, -3.0),
        around(1, -3.0, 9.0),
        around(2, 3.0, 9.0),
        finished(around(3, -9.0, -3.0)),
        finished(around(4, -3.0, 9.0)),
    ];
    for silence in &silences {
        subject.silence(silence, 0).await;
    }
    let ids = async || {
        let live = live(&*subject.state).await.into_iter();
        let ids = live.map(|stored| stored.silence.id.clone());
        ids.collect::<Vec<_>>()
    };
    let expected = silences.each_ref().map(|silence| silence.id.clone());
    assert_eq!(ids().await, expected[..3]);
    let answer = subject.state.live_silences(None).await.expect("an answer");
    let off = answer.now.duration_since(subject.now().await).abs();
    assert!(off < SignedDuration::from_secs(60), "{off:?}");
    subject.silence(&finished(silences[1].clone()), 1).await;
    assert_eq!(ids().await, [expected[0].clone(), expected[2].clone()]);
}

/// Whatever else was asked or refused meanwhile.
pub async fn a_known_revision_of_silences_is_not_sent_again<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let sent = async |known| {
        let answer = subject.state.live_silences(known).await;
        let answer = answer.expect("an answer");
        (
            answer.revision,
            answer.silences.map(|silences| silences.len()),
        )
    };
    let (empty, none) = sent(None).await;
    assert_eq!(none, Some(0));
    assert_eq!(sent(Some(empty)).await, (empty, None));
    let now = subject.now().await;
    let silence = |number| lasting(silence(number), now);
    subject.silence(&silence(1), 0).await;
    let (first, one) = sent(Some(empty)).await;
    assert_eq!(one, Some(1));
    assert_ne!(first, empty);
    assert_eq!(sent(Some(first)).await, (first, None));
    subject.try_silence(&silence(1), 0).await;
    subject.try_bounded(&silence(2), 0, 1).await;
    listed(&subject, &everything()).await;
    assert_eq!(sent(Some(first)).await, (first, None));
    subject.silence(&silence(1), 1).await;
    let (second, one) = sent(Some(first)).await;
    assert_eq!(one, Some(1));
    subject.silence(&finished(silence(1)), 2).await;
    assert_eq!(sent(Some(second)).await.1, Some(0));
    assert_eq!(sent(Some(first)).await.1, Some(0));
    assert_eq!(sent(None).await.1, Some(0));
}

/// In their next call, and each writes over what the other wrote.
pub async fn instances_see_each_others_silences<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let peer = subject.through(harness.peer().await);
    let mut known = None;
    for (writer, reader, version) in [(&subject, &peer, 0), (&peer, &subject, 1)] {
        writer.silence(&silence(1), version).await;
        let answer = reader.state.live_silences(known).await.expect("an answer");
        known = Some(answer.revision);
        let seen = answer.silences.expect("those of a new revision");
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].version, version + 1);
        assert_eq!(
            reader.find_silence(&silence(1).id).await,
            Some(seen[0].clone())
        );
        let refused = reader.try_silence(&silence(1), version).await;
        assert_eq!(refused, SilenceAnswer::Conflict(Some(seen[0].clone())));
    }
}

/// With their versions and their revision, the finished ones as well.
pub async fn silences_survive_where_they_are_durable<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    if !subject.state.capabilities().durable {
        return;
    }
    let hour = Duration::from_secs(3600);
    let ended = Silence {
        ends_at: subject.now().await - hour,
        ..silence(2)
    };
    for written in [&silence(1), &ended, &silence(3)] {
        subject.silence(written, 0).await;
    }
    subject.silence(&silence(3), 1).await;
    subject.silence(&finished(ended), 1).await;
    let before = live(&*subject.state).await;
    let known = revision(&*subject.state).await;
    let reopened = subject.through(harness.reopened().await);
    let answer = reopened.state.live_silences(Some(known)).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.revision, known);
    assert!(answer.silences.is_none());
    assert_eq!(live(&*reopened.state).await, before);
    assert_eq!(listed(&reopened, &everything()).await, [3, 2, 1]);
    let refused = reopened.try_silence(&silence(3), 1).await;
    assert!(matches!(refused, SilenceAnswer::Conflict(Some(_))));
    reopened.silence(&silence(3), 2).await;
    assert!(revision(&*reopened.state).await > known);
}

/// On whichever instance.
pub async fn of_64_tasks_that_write_the_same_silence_one_wins<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    for version in 0..8 {
        let answers = in_parallel(&states, 64, |state| async move {
            let write = write(&silence(1), version, LIVE_MAX);
            state.write_silence(&write).await.expect("an answer")
        });
        let mut won = 0;
        for answer in answers.await {
            match answer {
                SilenceAnswer::Written(next) => {
                    assert_eq!(next, version + 1);
                    won += 1;
                }
                SilenceAnswer::Conflict(Some(present)) => assert_eq!(present.version, version + 1),
                other => panic!("expected a conflict, but got {other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// On whichever instance.
pub async fn of_64_tasks_at_once_no_more_silences_than_the_bound_are_written<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    let now = subject.now().await;
    let numbers = AtomicU32::new(0);
    let answers = in_parallel(&states, 64, |state| {
        let number = numbers.fetch_add(1, Relaxed);
        async move {
            let write = write(&lasting(silence(number), now), 0, 10);
            state.write_silence(&write).await.expect("an answer")
        }
    });
    let answers = answers.await;
    let written = answers
        .iter()
        .filter(|answer| **answer == SilenceAnswer::Written(1));
    assert_eq!(written.count(), 10);
    let full = answers
        .iter()
        .filter(|answer| **answer == SilenceAnswer::Full);
    assert_eq!(full.count(), 54);
    assert_eq!(live(&*subject.state).await.len(), 10);
}
