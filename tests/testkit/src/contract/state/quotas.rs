//! Clauses about throttling: a maximum count in any window, and only deliveries count.

use acteon_core::state::ReservationAnswer;

use super::StateHarness;
use super::leases::in_parallel;
use super::subject::*;

/// Also inside one slice. Other keys are not affected.
pub async fn no_more_than_the_bound_pass_and_a_slice_is_served_in_order<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let five = vec![place::<H>("q", 3); 5];
    let answers = subject.reserve(&five).await;
    answers[..3].iter().for_each(assert_granted);
    for answer in &answers[3..] {
        let wait = assert_throttled(answer, 0);
        assert!(wait <= H::UNIT * WINDOW && !wait.is_zero(), "{wait:?}");
    }
    assert_granted(&subject.ask(&place::<H>("other", 3)).await);
}

/// A caller that keeps asking gets in at the same time as one that waited.
pub async fn refused_actions_do_not_push_the_window_out<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = place::<H>("q", 2);
    subject.take(&asked).await;
    subject.take(&asked).await;
    for _ in 1..WINDOW {
        subject.pass(1.0).await;
        assert_throttled(&subject.ask(&asked).await, 0);
    }
    subject.pass(1.5).await;
    subject.take(&asked).await;
    subject.take(&asked).await;
    assert_throttled(&subject.ask(&asked).await, 0);
}

/// Neither the length of the window nor a guess.
pub async fn retry_after_is_when_the_next_one_really_passes<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = place::<H>("q", 2);
    subject.take(&asked).await;
    subject.pass(3.0).await;
    subject.take(&asked).await;
    subject.pass(3.0).await;
    let wait = assert_throttled(&subject.ask(&asked).await, 0);
    let units = wait.as_secs_f64() / H::UNIT.as_secs_f64();
    assert!(
        (3.5..=4.05).contains(&units),
        "the first place is free again 4 units from now, not {units}"
    );
    subject.pass(units - 0.5).await;
    assert_throttled(&subject.ask(&asked).await, 0);
    subject.pass(0.55).await;
    subject.take(&asked).await;
    assert_throttled(&subject.ask(&asked).await, 0);
}

/// The answer names the first full quota and waits for the last one to have room.
pub async fn retry_after_waits_for_all_quotas_that_are_full<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let both = all(&[place::<H>("a", 1), place::<H>("b", 1)]);
    subject.take(&place::<H>("a", 1)).await;
    subject.pass(4.0).await;
    subject.take(&place::<H>("b", 1)).await;
    let wait = assert_throttled(&subject.ask(&both).await, 0);
    subject
        .pass(wait.as_secs_f64() / H::UNIT.as_secs_f64() - 0.5)
        .await;
    assert_throttled(&subject.ask(&both).await, 1);
    subject.pass(0.55).await;
    assert_granted(&subject.ask(&both).await);
}

/// It is refused if only one place is left.
pub async fn the_same_quota_twice_in_one_reservation_takes_two_places<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let twice = all(&[place::<H>("q", 3), place::<H>("q", 3)]);
    let held = subject.take(&twice).await;
    assert_throttled(&subject.ask(&twice).await, 1);
    assert_granted(&subject.ask(&place::<H>("q", 3)).await);
    subject.fail(&held).await;
    assert_granted(&subject.ask(&twice).await);
}

/// One place per failure, however often the failure is reported.
pub async fn a_failed_delivery_gives_its_place_back_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = place::<H>("q", 3);
    let first = subject.take(&asked).await;
    let second = subject.take(&asked).await;
    subject.take(&asked).await;
    subject.deliver(&second).await;
    assert_throttled(&subject.ask(&asked).await, 0);
    subject.fail(&first).await;
    subject.fail(&first).await;
    subject.take(&asked).await;
    subject.fail(&first).await;
    assert_throttled(&subject.ask(&asked).await, 0);
}

/// It no longer counts, so there is nothing to refund.
pub async fn a_place_that_has_left_the_window_is_not_given_back<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = place::<H>("q", 1);
    let first = subject.take(&asked).await;
    subject.pass(f64::from(WINDOW) + 0.5).await;
    subject.take(&asked).await;
    subject.fail(&first).await;
    assert_throttled(&subject.ask(&asked).await, 0);
}

/// The reservation is granted, and the grant names the full quota. A place that was not charged is not refunded.
pub async fn a_full_quota_that_lets_the_reservation_continue_is_reported<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let both = all(&[continuing::<H>("a", 1), continuing::<H>("b", 3)]);
    let notes = [0b00, 0b01, 0b01, 0b11, 0b11];
    let mut held = Vec::new();
    for expected in notes {
        let (taken, grant) = subject.take_granted(&both).await;
        assert_eq!(grant.full_quotas, expected);
        held.push(taken);
    }
    subject.fail(&held[4]).await;
    assert_eq!(
        subject.take_granted(&both).await.1.full_quotas,
        0b11,
        "the refused reservation took a place"
    );
    subject.fail(&held[2]).await;
    assert_eq!(
        subject.take_granted(&both).await.1.full_quotas,
        0b01,
        "the grant charged more than b"
    );
    let mixed = all(&[continuing::<H>("a", 1), place::<H>("c", 1)]);
    assert_eq!(subject.take_granted(&mixed).await.1.full_quotas, 0b01);
    assert_throttled(&subject.ask(&mixed).await, 1);
}

/// All or nothing: an id, a key and a place in another quota are free afterwards.
pub async fn a_refused_quota_leaves_nothing_held_and_nothing_charged<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.take(&place::<H>("full", 1)).await;
    let wanted = [id("a"), key::<H>("k"), place::<H>("q", 1)];
    let mut greedy = all(&wanted);
    greedy.quotas.extend(place::<H>("full", 1).quotas);
    assert_throttled(&subject.ask(&greedy).await, 1);
    assert_granted(&subject.ask(&all(&wanted)).await);
}

/// Rules are reloaded with other bounds while windows are running.
pub async fn a_greater_or_smaller_bound_applies_to_what_was_delivered_before<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    for _ in 0..4 {
        subject.take(&place::<H>("q", 4)).await;
    }
    assert_throttled(&subject.ask(&place::<H>("q", 2)).await, 0);
    subject.pass(f64::from(WINDOW) + 0.5).await;
    for _ in 0..2 {
        subject.take(&place::<H>("q", 2)).await;
    }
    assert_throttled(&subject.ask(&place::<H>("q", 2)).await, 0);
    let raised = subject.reserve(&vec![place::<H>("q", 500); 600]).await;
    let granted = raised
        .iter()
        .filter(|answer| matches!(answer, ReservationAnswer::Granted(_)))
        .count();
    assert!(
        (473..=498).contains(&granted),
        "498 are left, {granted} were granted"
    );
}

/// A place is freed when its delivery leaves the window, not all at once.
pub async fn places_come_back_one_by_one_as_they_leave_the_window<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let asked = place::<H>("q", 3);
    for _ in 0..3 {
        subject.take(&asked).await;
        subject.pass(2.0).await;
    }
    subject.pass(f64::from(WINDOW) - 5.5).await;
    for _ in 0..3 {
        subject.take(&asked).await;
        assert_throttled(&subject.ask(&asked).await, 0);
        subject.pass(2.0).await;
    }
}

/// The operation is atomic: no two tasks get the same last place.
pub async fn a_quota_holds_against_64_tasks_at_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    let answers = in_parallel(&states, 64, |state| async move {
        let asked = [place::<H>("one", 10), continuing::<H>("two", 20)];
        let asked = asked.each_ref().map(named);
        state
            .reserve(&asked, H::UNIT * LEASE)
            .await
            .expect("an answer")
    });
    let answers = answers.await;
    let count = |which: usize, is: fn(&ReservationAnswer) -> bool| {
        answers.iter().filter(|answer| is(&answer[which])).count()
    };
    assert_eq!(
        count(0, |answer| matches!(answer, ReservationAnswer::Granted(_))),
        10
    );
    let has_place = |answer: &ReservationAnswer| matches!(answer, ReservationAnswer::Granted(g) if !g.was_any_full());
    assert_eq!(count(1, has_place), 20);
}
