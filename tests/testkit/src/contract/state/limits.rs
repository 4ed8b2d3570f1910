//! Clauses about limits that are asked and not held.

use acteon_core::state::{RateLimit, StateKey};

use super::StateHarness;
use super::leases::in_parallel;
use super::subject::*;

/// A limit of `max_count` per [`WINDOW`].
fn limit<H: StateHarness>(name: &str, max_count: u32) -> RateLimit {
    RateLimit {
        key: StateKey::new("ns", "t1", "limit", name),
        max_count,
        window: H::UNIT * WINDOW,
    }
}

/// Also inside one slice. Other keys are not affected.
pub async fn a_limit_counts_down_and_refuses_at_zero<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = limit::<H>("l", 3);
    let other = limit::<H>("other", 3);
    let slice = [&asked, &other, &asked, &asked, &asked].map(Clone::clone);
    let answers = subject.limit(&slice).await;
    let left: Vec<_> = answers.iter().map(|answer| answer.remaining).collect();
    assert_eq!(left, [2, 2, 1, 0, 0]);
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(answer.limit, 3);
        assert_eq!(answer.retry_after.is_some(), at == 4, "{answer:?}");
    }
    let one = &subject.limit(&[other]).await[0];
    assert_eq!((one.remaining, one.retry_after), (1, None));
}

/// Asking too early does not postpone it.
pub async fn a_request_over_the_limit_passes_after_its_retry_after<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = [limit::<H>("l", 2)];
    subject.limit(&asked).await;
    subject.pass(4.0).await;
    subject.limit(&asked).await;
    let refused = subject.limit(&asked).await[0];
    let wait = refused.retry_after.expect("it is full");
    let units = wait.as_secs_f64() / H::UNIT.as_secs_f64();
    assert!((5.5..=6.05).contains(&units), "{units} units");
    subject.pass(units - 0.5).await;
    assert!(subject.limit(&asked).await[0].retry_after.is_some());
    subject.pass(0.55).await;
    let passed = subject.limit(&asked).await[0];
    assert_eq!((passed.remaining, passed.retry_after), (0, None));
    assert!(subject.limit(&asked).await[0].retry_after.is_some());
}

/// It counts from the last request that passed.
pub async fn a_limit_is_whole_again_after_its_reset<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = [limit::<H>("l", 3)];
    subject.limit(&asked).await;
    subject.pass(4.0).await;
    let reset = subject.limit(&asked).await[0].reset;
    let units = reset.as_secs_f64() / H::UNIT.as_secs_f64();
    let window = f64::from(WINDOW);
    assert!((window - 0.5..=window + 0.05).contains(&units), "{units}");
    subject.pass(units + 0.05).await;
    let answer = subject.limit(&asked).await[0];
    assert_eq!((answer.remaining, answer.retry_after), (2, None));
}

/// The operation is atomic: no two tasks get the same last place.
pub async fn of_64_tasks_at_once_no_more_than_the_limit_pass<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    let answers = in_parallel(&states, 64, |state| async move {
        state.limit(&[limit::<H>("l", 10)]).await.expect("answers")
    });
    let answers = answers.await;
    let passed = answers.iter().flatten();
    let passed = passed.filter(|answer| answer.retry_after.is_none());
    assert_eq!(passed.count(), 10);
}
