//! Clauses about calls whose answer was lost, calls that are done twice, and callers whose clock is off.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{Grant, ReservationAnswer, ReservationEnd};
use acteon_core::{ActionOutcome, DeadLetter, FullPolicy};
use jiff::SignedDuration;

use super::StateHarness;
use super::letter_bounds::keeping;
use super::letters::{everything, ids, listed, stored};
use super::subject::*;
use crate::records::dead_letter;

#[track_caller]
fn granted(answer: &ReservationAnswer) -> Grant {
    match answer {
        ReservationAnswer::Granted(grant) => grant.clone(),
        refused => panic!("expected a grant, but got {refused:?}"),
    }
}

/// The answer was lost, so the caller asks again. Until then no other caller gets it, and then it holds for a whole
/// lease.
pub async fn a_reservation_asked_again_is_granted_as_before<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 9)]);
    let held = subject.take(&whole).await;
    subject.pass(f64::from(LEASE) - 1.0).await;
    assert_granted(&subject.ask_again(&held).await);
    subject.pass(f64::from(LEASE) - 1.0).await;
    assert_busy(&subject.ask(&whole).await, whole.lease.as_ref().unwrap());
    assert_busy(&subject.ask(&key::<H>("k")).await, &whole.claims[0].key);
    assert_granted(&subject.ask_again(&held).await);
    subject.deliver(&held).await;
    assert_duplicate(&subject.ask(&whole).await, 0);
}

/// A refund gives one place back, however often the reservation was asked for.
pub async fn a_reservation_asked_again_takes_no_second_place_and_reports_the_same_full_quotas<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let both = all(&[continuing::<H>("a", 1), place::<H>("b", 3)]);
    let (first, grant) = subject.take_granted(&both).await;
    assert_eq!(grant.full_quotas, 0b00);
    let (second, grant) = subject.take_granted(&both).await;
    assert_eq!(grant.full_quotas, 0b01);
    for _ in 0..3 {
        assert_eq!(granted(&subject.ask_again(&first).await).full_quotas, 0b00);
        assert_eq!(granted(&subject.ask_again(&second).await).full_quotas, 0b01);
    }
    subject.take(&place::<H>("b", 3)).await;
    assert_throttled(&subject.ask(&place::<H>("b", 3)).await, 0);
    subject.fail(&second).await;
    subject.fail(&second).await;
    subject.take(&place::<H>("b", 3)).await;
    assert_throttled(&subject.ask(&place::<H>("b", 3)).await, 0);
    subject.fail(&first).await;
    let (_, grant) = subject.take_granted(&both).await;
    assert_eq!(grant.full_quotas, 0b00, "the place of the first is free");
}

/// As if the second came after the first.
pub async fn a_reservation_asked_twice_in_one_slice_is_granted_twice_and_held_once<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let whole = named(&all(&[id("a"), key::<H>("k"), place::<H>("q", 1)]));
    let twice = [whole.clone(), whole.clone()];
    let answers = subject.reserve_named(&twice).await;
    answers.iter().for_each(assert_granted);
    subject.fail(&Arc::new(whole.clone())).await;
    assert_granted(&subject.ask(&whole).await);
}

/// The caller knows only what it asked for.
pub async fn what_was_granted_in_a_lost_answer_is_released_without_it<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 1)]);
    for round in 0..3 {
        let asked = Arc::new(named(&whole));
        subject.reserve_named(&[(*asked).clone()]).await;
        assert_busy(&subject.ask(&whole).await, whole.lease.as_ref().unwrap());
        subject.fail(&asked).await;
        if round == 1 {
            subject.fail(&asked).await;
        }
    }
    let asked = Arc::new(named(&whole));
    subject.reserve_named(&[(*asked).clone()]).await;
    subject.deliver(&asked).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    assert_throttled(&subject.ask(&place::<H>("q", 1)).await, 0);
}

/// A refused reservation, and one that never arrived, have taken nothing.
pub async fn what_was_never_granted_is_ended_without_effect<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 2)]);
    let held = subject.take(&whole).await;
    let refused = Arc::new(named(&whole));
    let answer = subject.ask_again(&refused).await;
    assert_busy(&answer, whole.lease.as_ref().unwrap());
    let unsent = Arc::new(named(&whole));
    for other in [&refused, &unsent] {
        subject.fail(other).await;
        subject.deliver(other).await;
    }
    assert!(subject.renew(&held).await, "nothing of it was released");
    subject.take(&place::<H>("q", 2)).await;
    assert_throttled(&subject.ask(&place::<H>("q", 2)).await, 0);
    subject.fail(&held).await;
    assert_granted(&subject.ask(&whole).await);
}

/// Its holds end, its places are refunded and its letter is stored as by one; only its counts add up.
pub async fn a_settlement_done_twice_is_done_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 2)]);
    let first = subject.take(&whole).await;
    subject.take(&place::<H>("q", 2)).await;
    let mut settlement = remembered(&first, &ActionOutcome::Deduplicated(()), H::UNIT * TTL);
    settlement.end = ReservationEnd::Release;
    settlement.dead_letter = Some(Arc::new(dead_letter(1)));
    subject.settle(settlement.clone()).await;
    let second = subject.take(&whole).await;
    subject.settle(settlement).await;
    assert!(subject.renew(&second).await, "another hold is untouched");
    assert_throttled(&subject.ask(&place::<H>("q", 2)).await, 0);
    assert_remembered(&subject.ask(&recalling("a")).await);
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(letters.len(), 1);
}

/// Leases, windows and the age of letters are measured by the backend's clock.
pub async fn an_instance_whose_clock_is_ten_minutes_off_gets_the_same_answers<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let ahead = subject.through(harness.ahead().await);
    let off = ahead.now().await.duration_since(subject.now().await);
    assert!(off.abs() < SignedDuration::from_secs(60), "{off:?}");
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 1)]);
    let held = ahead.take(&whole).await;
    assert_busy(&subject.ask(&whole).await, whole.lease.as_ref().unwrap());
    ahead.deliver(&held).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    assert_throttled(&ahead.ask(&place::<H>("q", 1)).await, 0);
    subject.pass(f64::from(WINDOW) + 0.5).await;
    assert_granted(&ahead.ask(&whole).await);
    let keeping = keeping(100, H::UNIT * 5, FullPolicy::Block);
    let keeping = subject.through(harness.keeping(keeping).await);
    let ten_minutes = Duration::from_secs(600);
    let ahead = DeadLetter {
        created_at: dead_letter(1).created_at + ten_minutes,
        ..dead_letter(1)
    };
    let behind = DeadLetter {
        created_at: dead_letter(2).created_at - ten_minutes,
        ..dead_letter(2)
    };
    let letters = [ahead, behind].map(Arc::new);
    stored(&keeping, &letters).await;
    let kept = listed(&*keeping.state, everything()).await;
    assert_eq!(kept.len(), 2);
    keeping.pass(5.5).await;
    let kept = listed(&*keeping.state, everything()).await;
    assert!(kept.is_empty(), "{:?}", ids(&kept));
}
