//! Clauses about tallies: how often actions were counted under a key, and when last.

use std::time::Duration;

use acteon_core::state::{Answer, Question, StateKey, Tally, TallyCount};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::time::Instant;

use super::leases::in_parallel;
use super::subject::*;
use super::{Pace, StateHarness};
use crate::contract::for_all;
use crate::dead_letter;

/// Exact on a virtual clock. A real clock is read slightly before or after ours.
fn assert_ago<H: StateHarness>(tallied: TallyCount, units: f64) {
    let last = tallied.last.expect("a last time");
    let off = last.abs_diff(H::UNIT.mul_f64(units));
    let allowed = match H::PACE {
        Pace::Virtual => Duration::ZERO,
        Pace::Real => H::UNIT / 2,
    };
    assert!(off <= allowed, "{last:?} ago, not {units} units");
}

/// Its last time is `None` too.
pub async fn a_tally_that_was_never_counted_is_empty<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.count(&tally::<H>("another")).await;
    assert_eq!(
        subject.tallied(&tally::<H>("t")).await,
        TallyCount::default()
    );
}

/// Not at its reservation.
pub async fn an_action_is_counted_when_it_is_settled_and_not_before<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&id("a")).await;
    assert_eq!(subject.tallied(&tally::<H>("t")).await.count, 0);
    let mut end = delivered(&held);
    end.counts = vec![tally::<H>("t")];
    subject.settle(end).await;
    let tallied = subject.tallied(&tally::<H>("t")).await;
    assert_eq!(tallied.count, 1);
    assert_ago::<H>(tallied, 0.0);
}

/// A sixteenth of the window later it no longer counts for certain.
pub async fn a_count_leaves_its_window_when_the_window_has_passed<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.count(&tally::<H>("t")).await;
    subject.pass(f64::from(WINDOW) - 0.5).await;
    let tallied = subject.tallied(&tally::<H>("t")).await;
    assert_eq!(tallied.count, 1);
    assert_ago::<H>(tallied, f64::from(WINDOW) - 0.5);
    subject.pass(0.5 + f64::from(WINDOW) / 16.0 + 0.5).await;
    assert_eq!(
        subject.tallied(&tally::<H>("t")).await,
        TallyCount::default()
    );
    subject.count(&tally::<H>("t")).await;
    assert_eq!(subject.tallied(&tally::<H>("t")).await.count, 1);
}

/// One after the other, not all with the first or the last.
pub async fn counts_leave_in_the_order_they_came<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for _ in 0..4 {
        subject.count(&tally::<H>("t")).await;
        subject.pass(2.0).await;
    }
    subject.pass(f64::from(WINDOW) - 8.5).await;
    for left in (0..4).rev() {
        // The oldest has half a unit left. After the next step it is more than a sixteenth of the window too old.
        assert_eq!(subject.tallied(&tally::<H>("t")).await.count, left + 1);
        subject.pass(1.75).await;
        assert_eq!(subject.tallied(&tally::<H>("t")).await.count, left);
        subject.pass(0.25).await;
    }
}

/// However many there are.
pub async fn the_last_time_is_told_and_not_the_first<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for _ in 0..3 {
        subject.count(&tally::<H>("t")).await;
        subject.pass(2.25).await;
    }
    subject.pass(1.0).await;
    let tallied = subject.tallied(&tally::<H>("t")).await;
    assert_eq!(tallied.count, 3);
    assert_ago::<H>(tallied, 3.25);
}

/// Also where one name appended to another looks like a third.
pub async fn tallies_of_other_keys_windows_tenants_and_namespaces_are_apart<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let noted = tally::<H>("t");
    let key = |namespace, tenant, name| StateKey::new(namespace, tenant, "", name);
    let keys = [
        key("ns", "t1", "t2"),
        key("ns", "t1", ""),
        key("ns", "t", "1t"),
        key("ns", "t1t", ""),
        key("ns", "t2", "t"),
        key("ns2", "t1", "t"),
        key("n", "st1", "t"),
        StateKey::new("ns", "t1", "t", ""),
    ];
    let mut others: Vec<_> = keys
        .map(|key| Tally {
            key,
            ..noted.clone()
        })
        .into();
    others.push(Tally {
        within: noted.within * 2,
        ..noted.clone()
    });
    subject.count(&noted).await;
    for other in &others {
        assert_eq!(subject.tallied(other).await.count, 0, "{other:?}");
    }
    for other in &others {
        subject.count(other).await;
        assert_eq!(subject.tallied(other).await.count, 1, "{other:?}");
    }
    assert_eq!(subject.tallied(&noted).await.count, 1);
}

/// Including settlements with only notes, or with none.
pub async fn each_tally_of_a_settlement_counts_once_and_a_slice_adds_up<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let [a, b, c] = ["a", "b", "c"].map(tally::<H>);
    let held = subject.take(&key::<H>("k")).await;
    let mut with_more = delivered(&held);
    with_more.counts = vec![b.clone(), a.clone()];
    let slice = [
        counting(&[a.clone(), b.clone(), c.clone()]),
        counting(&[]),
        with_more,
        counting(std::slice::from_ref(&a)),
    ];
    subject.state.settle(&slice).await.expect("settled");
    let questions = [&a, &b, &c].map(|tally| Question::Tally(tally.clone()));
    let answers = subject.gather(&questions).await;
    let counts: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Tally(tallied) => tallied.count,
            other => panic!("expected a tally, but got {other:?}"),
        })
        .collect();
    assert_eq!(counts, [3, 2, 1]);
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
}

/// Delivered, failed, dead-lettered, or delivered after its lease was lost.
pub async fn an_action_is_counted_whatever_its_outcome<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let late = subject.take(&key::<H>("late")).await;
    subject.pass(f64::from(LEASE) + 0.5).await;
    subject.take(&key::<H>("late")).await;
    let first = subject.take(&key::<H>("a")).await;
    let second = subject.take(&key::<H>("b")).await;
    let letter = dead_letter(1).into();
    let ends = [
        delivered(&first),
        failed(&second),
        stored_letter(&letter),
        delivered(&late),
    ];
    for (settled, mut end) in (1..).zip(ends) {
        end.counts = vec![tally::<H>("t")];
        subject.settle(end).await;
        assert_eq!(subject.tallied(&tally::<H>("t")).await.count, settled);
    }
}

/// The questions of one slice may be of different kinds and may repeat.
pub async fn answers_of_all_kinds_are_in_the_order_of_the_questions<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    assert_eq!(subject.gather(&[]).await, []);
    let outage = event("e", &["db"]);
    subject.write(std::slice::from_ref(&outage)).await;
    let noted: Vec<_> = (0..30).map(|n| tally::<H>(&format!("t{n}"))).collect();
    let ends: Vec<_> = (0..30).map(|n| counting(&noted[n..])).collect();
    subject.state.settle(&ends).await.expect("settled");
    let mut questions = Vec::new();
    for tally in &noted {
        questions.push(Question::Tally(tally.clone()));
        questions.push(active("ns", "t1", "outage", Some("db")));
        questions.push(active("ns", "t1", "outage", Some("web")));
        questions.push(state_of(&outage));
        questions.push(state_of(&event("other", &[])));
        questions.push(Question::Tally(tally.clone()));
    }
    let answers = subject.gather(&questions).await;
    for (n, answers) in (1..).zip(answers.chunks(6)) {
        let is_count = |answer: &Answer| matches!(answer, Answer::Tally(t) if t.count == n);
        assert!(
            is_count(&answers[0]) && is_count(&answers[5]),
            "{answers:?}"
        );
        let expected = [
            Answer::ActiveEvent(true),
            Answer::ActiveEvent(false),
            Answer::EventState(Some("open".into())),
            Answer::EventState(None),
        ];
        assert_eq!(answers[1..5], expected);
    }
}

/// It counts nothing and extends nothing.
pub async fn gathering_changes_nothing<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let over = ended(&event("e", &["db"]), H::UNIT * WINDOW);
    subject.count(&tally::<H>("t")).await;
    subject.write(std::slice::from_ref(&over)).await;
    for passed in 0..WINDOW {
        let tallied = subject.tallied(&tally::<H>("t")).await;
        assert_eq!(tallied.count, 1);
        assert_ago::<H>(tallied, f64::from(passed));
        assert_eq!(subject.tallied(&tally::<H>("never")).await.count, 0);
        assert_eq!(subject.state_of(&over).await.as_deref(), Some("closed"));
        assert!(!subject.is_active("outage", None).await);
        subject.pass(1.0).await;
    }
    subject.pass(1.5).await;
    assert_eq!(subject.tallied(&tally::<H>("t")).await.count, 0);
    assert_eq!(subject.state_of(&over).await, None);
}

/// Instances whose own clocks differ agree on it.
pub async fn the_time_is_the_backends_and_passes_for_all_instances<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let peer = subject.through(harness.peer().await);
    let begin = subject.now().await;
    subject.pass(2.0).await;
    let passed = Duration::try_from(peer.now().await.duration_since(begin)).expect("it passes");
    let off = passed.abs_diff(H::UNIT * 2);
    assert!(off <= H::UNIT / 2, "{passed:?} have passed");
}

/// All instances share one state.
pub async fn instances_see_what_others_count_and_write<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let peer = subject.through(harness.peer().await);
    subject.count(&tally::<H>("t")).await;
    peer.count(&tally::<H>("t")).await;
    let outage = event("e", &["db"]);
    subject.write(std::slice::from_ref(&outage)).await;
    for instance in [&subject, &peer] {
        assert_eq!(instance.tallied(&tally::<H>("t")).await.count, 2);
        assert!(instance.is_active("outage", Some("db")).await);
        assert_eq!(instance.state_of(&outage).await.as_deref(), Some("open"));
    }
    peer.write(&[ended(&outage, H::UNIT * TTL)]).await;
    assert!(!subject.is_active("outage", Some("db")).await);
    assert_eq!(subject.state_of(&outage).await.as_deref(), Some("closed"));
}

/// A restart must not forget an outage.
pub async fn counts_and_events_survive_where_they_are_durable<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    if !subject.state.capabilities().durable {
        return;
    }
    let outage = event("e", &["db"]);
    let over = ended(&event("f", &["web"]), H::UNIT * 30);
    subject.count(&tally::<H>("t")).await;
    subject.write(&[outage.clone(), over.clone()]).await;
    let reopened = subject.through(harness.reopened().await);
    assert_eq!(reopened.tallied(&tally::<H>("t")).await.count, 1);
    assert!(reopened.is_active("outage", Some("db")).await);
    assert!(!reopened.is_active("outage", Some("web")).await);
    assert_eq!(reopened.state_of(&outage).await.as_deref(), Some("open"));
    assert_eq!(reopened.state_of(&over).await.as_deref(), Some("closed"));
}

/// Also under a key that is new to all tasks.
pub async fn of_64_tasks_that_count_at_once_none_is_lost<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    let long = |name| Tally {
        within: H::UNIT * 1000,
        ..tally::<H>(name)
    };
    in_parallel(&states, 64, |state| async move {
        let ends = [counting(&[long("a"), long("b")]), counting(&[long("b")])];
        state.settle(&ends).await.expect("settled");
    })
    .await;
    assert_eq!(subject.tallied(&long("a")).await.count, 64);
    assert_eq!(subject.tallied(&long("b")).await.count, 128);
}

/// Gaps between notes, in thousandths of the window, and the number of notes after each.
fn loads(pace: Pace) -> impl Strategy<Value = Vec<(u16, usize)>> {
    let gap = prop_oneof![
        4 => Just(0_u16),
        6 => 1_u16..100,
        2 => 100_u16..900,
        2 => 900_u16..1100,
        1 => 1100_u16..3000,
    ];
    let length = match pace {
        Pace::Virtual => 100,
        Pace::Real => 20,
    };
    proptest::collection::vec((gap, 0_usize..4), 1..length)
}

/// Whenever notes are made, everything in the window is counted, plus nothing older than a sixteenth of the window
/// more.
pub fn a_tally_is_never_too_low_and_by_a_sixteenth_of_its_window_too_high_at_most<
    H: StateHarness,
>(
    make: impl Fn() -> H,
) {
    for_all(H::PACE, &loads(H::PACE), |load| {
        H::PACE.run(async {
            let harness = make();
            let subject = Subject::of(&harness).await;
            let tally = Tally {
                within: H::UNIT * 4,
                ..tally::<H>("t")
            };
            let begin = Instant::now();
            let mut noted = Vec::new();
            for (gap, notes) in &load {
                let gap = tally.within * u32::from(*gap) / 1000;
                subject
                    .pass(gap.as_secs_f64() / H::UNIT.as_secs_f64())
                    .await;
                let ends = vec![counting(std::slice::from_ref(&tally)); *notes];
                subject.state.settle(&ends).await.expect("settled");
                let now = begin.elapsed();
                noted.extend(std::iter::repeat_n(now, *notes));
                agrees::<H>(subject.tallied(&tally).await, &tally, &noted, now)?;
            }
            Ok(())
        })
    });
}

fn agrees<H: StateHarness>(
    tallied: TallyCount,
    tally: &Tally,
    noted: &[Duration],
    now: Duration,
) -> Result<(), TestCaseError> {
    // A real backend reads its clock slightly before or after we do.
    let slack = match H::PACE {
        Pace::Virtual => Duration::ZERO,
        Pace::Real => H::UNIT / 2,
    };
    let inside = |length: Duration| noted.iter().filter(|at| now - **at < length).count() as u64;
    let least = inside(tally.within - slack);
    let most = inside(tally.within + tally.within / 16 + slack);
    let count = tallied.count;
    prop_assert!(
        least <= count && count <= most,
        "{least} <= {count} <= {most}"
    );
    prop_assert_eq!(count == 0, tallied.last.is_none());
    let age = noted.last().map(|at| now - *at);
    if let (Some(last), Some(age)) = (tallied.last, age) {
        prop_assert!(last.abs_diff(age) <= slack, "{last:?} ago, not {age:?}");
        prop_assert!(last < tally.within, "{last:?} is outside");
    }
    Ok(())
}
