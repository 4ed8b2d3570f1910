//! Clauses about leases: one instance at a time.

use std::sync::Arc;

use acteon_core::state::{Reservation, ReservationAnswer};
use acteon_core::{ActionOutcome, State};

use super::StateHarness;
use super::subject::*;

/// A free id is granted. Later callers learn which key to wait for, and how long at most.
pub async fn a_free_id_is_granted_and_then_busy_until_it_is_settled<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&id("a")).await;
    let ReservationAnswer::Busy(busy) = subject.ask(&id("a")).await else {
        panic!("expected a busy key");
    };
    assert_eq!(Some(&busy.key), id("a").lease.as_ref());
    assert!(
        busy.expires_in <= H::UNIT * LEASE && !busy.expires_in.is_zero(),
        "{busy:?}"
    );
    assert_granted(&subject.ask(&id("b")).await);
    subject.deliver(&held).await;
    assert_granted(&subject.ask(&id("a")).await);
}

/// A lease that is not renewed expires.
pub async fn a_lease_that_ran_out_falls_to_the_next<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k")]);
    subject.take(&whole).await;
    subject.pass(f64::from(LEASE) - 1.0).await;
    assert_busy(&subject.ask(&whole).await, whole.lease.as_ref().unwrap());
    subject.pass(1.5).await;
    subject.take(&whole).await;
}

/// A settlement after the lease was lost neither confirms nor releases nor answers for the new holder.
pub async fn a_late_settlement_changes_nothing_of_what_another_has_taken<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k")]);
    let first = subject.take(&whole).await;
    subject.pass(f64::from(LEASE) + 0.5).await;
    let second = subject.take(&whole).await;
    let late = remembered(&first, &ActionOutcome::Deduplicated(()), H::UNIT * TTL);
    subject.settle(late).await;
    assert_busy(&subject.ask(&id("a")).await, whole.lease.as_ref().unwrap());
    assert_busy(&subject.ask(&key::<H>("k")).await, &whole.claims[0].key);
    subject.fail(&first).await;
    assert_busy(&subject.ask(&id("a")).await, whole.lease.as_ref().unwrap());
    assert_busy(&subject.ask(&key::<H>("k")).await, &whole.claims[0].key);
    subject.deliver(&second).await;
    assert_granted(&subject.ask(&id("a")).await);
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
}

/// A delivery that outlived its lease did happen. It is confirmed for at least as long again as the lease, unless
/// another holder took the key.
pub async fn a_delivery_that_outlived_its_lease_is_still_confirmed_while_nobody_took_the_key<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k")]);
    let held = subject.take(&whole).await;
    subject.pass(f64::from(LEASE) * 1.5).await;
    let outcome = ActionOutcome::Deduplicated(());
    let settlement = remembered(&held, &outcome, H::UNIT * TTL);
    subject.settle(settlement).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    assert_remembered(&subject.ask(&recalling("a")).await);
}

/// No other caller gets it while it is renewed.
pub async fn renewal_keeps_what_is_held<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 9)]);
    let held = subject.take(&whole).await;
    for _ in 0..3 {
        subject.pass(f64::from(LEASE) - 1.5).await;
        assert!(subject.renew(&held).await);
    }
    assert_busy(&subject.ask(&id("a")).await, whole.lease.as_ref().unwrap());
    assert_busy(&subject.ask(&key::<H>("k")).await, &whole.claims[0].key);
    subject.pass(f64::from(LEASE) + 0.5).await;
    assert_granted(&subject.ask(&whole).await);
}

/// Neither an expired lease nor one of another holder is extended.
pub async fn renewal_of_what_was_lost_says_so_and_takes_nothing_back<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let first = subject.take(&id("a")).await;
    subject.pass(f64::from(LEASE) + 0.5).await;
    assert!(!subject.renew(&first).await, "the lease has expired");
    let second = subject.take(&id("a")).await;
    assert!(!subject.renew(&first).await, "another grant holds the key");
    assert!(subject.renew(&second).await);
    subject.deliver(&second).await;
    assert!(!subject.renew(&second).await, "the grant is settled");
    assert_granted(&subject.ask(&id("a")).await);
}

/// The answer to a settlement may be lost, so it is repeated: at once, later, and while another holder has the key.
pub async fn settling_again_changes_nothing<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let delivery = subject.take(&all(&[id("a"), key::<H>("k")])).await;
    subject.deliver(&delivery).await;
    subject.pass(f64::from(TTL) - 2.0).await;
    subject.deliver(&delivery).await;
    subject.fail(&delivery).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    subject.pass(2.5).await;
    let next = subject.take(&all(&[id("a"), key::<H>("k")])).await;
    subject.deliver(&delivery).await;
    subject.fail(&delivery).await;
    assert!(
        subject.renew(&next).await,
        "the grant still holds both keys"
    );
    subject.fail(&next).await;
    let after = subject.take(&all(&[id("a"), key::<H>("k")])).await;
    subject.fail(&next).await;
    assert!(
        subject.renew(&after).await,
        "the grant still holds both keys"
    );
}

/// The same names under another token are another hold.
pub async fn only_its_own_token_renews_and_ends_a_hold<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let whole = all(&[id("a"), key::<H>("k"), place::<H>("q", 2)]);
    let held = subject.take(&whole).await;
    subject.take(&place::<H>("q", 2)).await;
    let other = Arc::new(named(&whole));
    assert!(!subject.renew(&other).await);
    subject.fail(&other).await;
    subject.deliver(&other).await;
    assert_busy(&subject.ask(&whole).await, whole.lease.as_ref().unwrap());
    assert_throttled(&subject.ask(&place::<H>("q", 2)).await, 0);
    assert!(subject.renew(&held).await);
    subject.fail(&held).await;
    assert_granted(&subject.ask(&whole).await);
}

/// However large the slice, and whatever each answer is.
pub async fn answers_are_in_the_order_of_the_questions<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let every_third: Vec<_> = (0..1000).step_by(3).map(|n| id(&n.to_string())).collect();
    let held: Vec<_> = every_third.iter().map(named).map(Arc::new).collect();
    let asked: Vec<_> = held.iter().map(|one| Reservation::clone(one)).collect();
    let granted = subject.reserve_named(&asked).await;
    granted.iter().for_each(assert_granted);
    let everyone: Vec<_> = (0..1000).map(|n| id(&n.to_string())).collect();
    for (n, answer) in subject.reserve(&everyone).await.iter().enumerate() {
        match n % 3 {
            0 => assert_busy(answer, everyone[n].lease.as_ref().unwrap()),
            _ => assert_granted(answer),
        }
    }
    let settlements: Vec<_> = held.iter().map(delivered).collect();
    subject.settle_all(&settlements).await;
    subject
        .reserve(&every_third)
        .await
        .iter()
        .for_each(assert_granted);
}

/// Empty slices, and reservations that need nothing.
pub async fn nothing_asked_is_nothing_refused<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    assert!(subject.reserve(&[]).await.is_empty());
    subject.settle_all(&[]).await;
    let kept = subject.state.renew(&[], H::UNIT).await.expect("an answer");
    assert!(kept.is_empty());
    let held = subject.take(&all(&[])).await;
    subject.deliver(&held).await;
    subject.state.ping().await.expect("an answer");
}

/// Whatever one instance holds or has delivered, the others see.
pub async fn instances_see_what_others_hold<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let peer = subject.through(harness.peer().await);
    let whole = all(&[id("a"), key::<H>("k")]);
    let held = subject.take(&whole).await;
    assert_busy(&peer.ask(&whole).await, whole.lease.as_ref().unwrap());
    subject.deliver(&held).await;
    assert_duplicate(&peer.ask(&whole).await, 0);
}

/// Of concurrent callers, one gets the key, and all others must wait for it.
pub async fn of_64_tasks_that_want_the_same_key_one_wins<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    for round in 0..20 {
        let name = round.to_string();
        let whole = all(&[id(&name), key::<H>(&name), place::<H>(&name, 64)]);
        let answers = in_parallel(&states, 64, |state| {
            let whole = named(&whole);
            async move {
                state
                    .reserve(&[whole], H::UNIT * LEASE)
                    .await
                    .expect("an answer")
            }
        });
        let mut granted = 0;
        for answer in answers.await.iter().flatten() {
            match answer {
                ReservationAnswer::Granted(_) => granted += 1,
                other => assert_busy(other, whole.lease.as_ref().unwrap()),
            }
        }
        assert_eq!(granted, 1);
    }
}

/// Runs `count` calls in parallel, on all available threads.
pub(super) async fn in_parallel<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    states: &[Arc<dyn State>],
    count: usize,
    call: impl Fn(Arc<dyn State>) -> F,
) -> Vec<T> {
    let mut tasks = tokio::task::JoinSet::new();
    for state in states.iter().cycle().take(count) {
        tasks.spawn(call(state.clone()));
    }
    tasks.join_all().await
}
