//! Clauses about deduplication: a lease during delivery, then a record.

use acteon_core::state::{Claim, Reservation, StateKey};

use super::StateHarness;
use super::subject::*;

/// Pending means wait; delivered means duplicate. The answer names the claim.
pub async fn a_pending_key_is_busy_and_a_delivered_one_a_duplicate<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&key::<H>("k")).await;
    assert_busy(
        &subject.ask(&key::<H>("k")).await,
        &key::<H>("k").claims[0].key,
    );
    subject.deliver(&held).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    let with_another = all(&[id("a"), key::<H>("other"), key::<H>("k")]);
    assert_duplicate(&subject.ask(&with_another).await, 1);
}

/// The window begins with the delivery. Duplicates do not extend it.
pub async fn a_delivery_is_remembered_for_its_ttl_which_duplicates_do_not_prolong<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&key::<H>("k")).await;
    subject.pass(2.0).await;
    subject.deliver(&held).await;
    for _ in 0..TTL - 1 {
        subject.pass(1.0).await;
        assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    }
    subject.pass(1.5).await;
    assert_granted(&subject.ask(&key::<H>("k")).await);
}

/// The delivery failed, so a retry is not a duplicate.
pub async fn a_failed_delivery_releases_its_key<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let first = subject.take(&key::<H>("k")).await;
    subject.fail(&first).await;
    let second = subject.take(&key::<H>("k")).await;
    subject.deliver(&second).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
}

/// As if the second came after the first.
pub async fn the_same_key_twice_in_one_slice_goes_to_the_first<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let twins = [
        all(&[id("a"), key::<H>("k")]),
        all(&[id("b"), key::<H>("k")]),
        all(&[id("a"), key::<H>("other")]),
    ];
    let answers = subject.reserve(&twins).await;
    assert_granted(&answers[0]);
    assert_busy(&answers[1], &twins[1].claims[0].key);
    assert_busy(&answers[2], twins[2].lease.as_ref().unwrap());
    let free = subject.reserve(&[id("b"), key::<H>("other")]).await;
    free.iter().for_each(assert_granted);
}

/// All or nothing: neither the id nor the other keys nor the quota are taken.
pub async fn a_refused_claim_leaves_nothing_held_and_nothing_charged<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let taken = key::<H>("taken");
    let held = subject.take(&taken).await;
    let greedy = all(&[id("a"), key::<H>("free"), taken.clone(), place::<H>("q", 1)]);
    let least = all(&[id("a"), key::<H>("free"), place::<H>("q", 1)]);
    assert_busy(&subject.ask(&greedy).await, &taken.claims[0].key);
    subject.deliver(&held).await;
    assert_duplicate(&subject.ask(&greedy).await, 1);
    assert_granted(&subject.ask(&least).await);
}

/// None is free while they are held, and none is confirmed alone.
pub async fn all_claims_of_a_reservation_are_held_and_ended_together<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let both = all(&[key::<H>("k"), key::<H>("l")]);
    let held = subject.take(&both).await;
    assert_busy(&subject.ask(&key::<H>("k")).await, &both.claims[0].key);
    assert_busy(&subject.ask(&key::<H>("l")).await, &both.claims[1].key);
    subject.fail(&held).await;
    let held = subject.take(&both).await;
    subject.deliver(&held).await;
    assert_duplicate(&subject.ask(&key::<H>("k")).await, 0);
    assert_duplicate(&subject.ask(&key::<H>("l")).await, 0);
}

/// Whatever the parts of a name contain.
pub async fn names_of_other_tenants_namespaces_and_rules_never_meet<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let names = [
        ["ns", "t1", "rule", "k"],
        ["ns", "t2", "rule", "k"],
        ["ns2", "t1", "rule", "k"],
        ["ns", "t1", "rule2", "k"],
        ["ns", "t1", "rule", "K"],
        ["ns", "t1", "rule", "k "],
        ["nst", "1", "rule", "k"],
        ["ns", "t1rule", "", "k"],
        ["ns:", "t1", "rul", "e:k"],
        ["", "ns", "t1", "rule:k"],
        ["ns", "t1", "rule", "k'\"\\{}%_\n\u{1F600}"],
    ];
    let asked = names.map(|[namespace, tenant, owner, name]| Reservation {
        claims: [Claim {
            key: StateKey::new(namespace, tenant, owner, name),
            ttl: H::UNIT * TTL,
        }]
        .into(),
        ..Reservation::default()
    });
    subject
        .reserve(&asked)
        .await
        .iter()
        .for_each(assert_granted);
    for (answer, asked) in subject.reserve(&asked).await.iter().zip(&asked) {
        assert_busy(answer, &asked.claims[0].key);
    }
}

/// A durable backend remembers after a restart what was delivered before.
pub async fn what_was_confirmed_survives_where_it_is_durable<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let held = subject.take(&key::<H>("k")).await;
    subject.deliver(&held).await;
    let after = match subject.state.capabilities().durable {
        true => subject.through(harness.reopened().await),
        false => subject,
    };
    assert_duplicate(&after.ask(&key::<H>("k")).await, 0);
}
