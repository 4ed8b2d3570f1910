//! Clauses about the bounds on dead letters: each kind has its own bound, with a policy for reaching it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::dead_letter::DeadLetterBound;
use acteon_core::state::{StateContext, StateKey};
use acteon_core::{DeadLetter, DeadLetterBounds, FullPolicy};

use super::StateHarness;
use super::letters::{everything, ids, listed, some, stored};
use super::subject::*;
use crate::records::{dead_letter, poison_letter};

/// The given number of each kind, for the given time.
pub(super) fn keeping(max: usize, retention: Duration, when_full: FullPolicy) -> StateContext {
    let bound = DeadLetterBound {
        max: NonZeroUsize::new(max).expect("room for one"),
        retention,
        when_full,
    };
    let dead_letters = DeadLetterBounds {
        poison: bound,
        exhausted: bound,
    };
    StateContext {
        dead_letters,
        ..StateContext::default()
    }
}

async fn blocking<H: StateHarness>(harness: &H, max: usize) -> Subject<'_, H> {
    let subject = Subject::of(harness).await;
    let context = keeping(max, H::UNIT * 1000, FullPolicy::Block);
    subject.through(harness.keeping(context).await)
}

fn poison(number: u32) -> Arc<DeadLetter> {
    Arc::new(poison_letter(number))
}

async fn refused<H: StateHarness>(
    subject: &Subject<'_, H>,
    letters: &[Arc<DeadLetter>],
) -> Vec<usize> {
    let settlements: Vec<_> = letters.iter().map(stored_letter).collect();
    subject.refused(&settlements).await
}

async fn delete<H: StateHarness>(subject: &Subject<'_, H>, letter: &DeadLetter) {
    let scope = everything();
    let deleted = subject.state.delete_dead_letter(&scope, &letter.id).await;
    assert!(deleted.expect("an answer"));
}

/// Eviction removes the oldest of the same kind: a flood of poison evicts nothing else.
pub async fn dead_letters_are_bounded_for_each_kind<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let context = keeping(3, H::UNIT * 1000, FullPolicy::EvictOldest);
    let subject = subject.through(harness.keeping(context).await);
    stored(&subject, &some(1..=2)).await;
    let flood: Vec<_> = (3..=9).map(poison).collect();
    stored(&subject, &flood).await;
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([9, 8, 7, 2, 1])));
    stored(&subject, &some(10..=11)).await;
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([11, 10, 9, 8, 7, 2])));
}

/// Refused settlements keep their holds and count no notes, while the others of the slice are settled.
pub async fn a_full_kind_refuses_only_settlements_that_bring_such_a_letter<H: StateHarness>(
    harness: &H,
) {
    let subject = blocking(harness, 2).await;
    stored(&subject, &some([1])).await;
    let names = ["fits", "refused", "other kind", "no letter"];
    let mut settlements = Vec::new();
    for (number, name) in (2..).zip(names) {
        let held = subject.take(&all(&[id(name), key::<H>(name)])).await;
        let mut settlement = failed(&held);
        settlement.counts = vec![tally::<H>(name)];
        settlement.dead_letter = match name {
            "no letter" => None,
            "other kind" => Some(poison(number)),
            _ => Some(Arc::new(dead_letter(number))),
        };
        settlements.push(settlement);
    }
    for _ in 0..2 {
        assert_eq!(subject.refused(&settlements).await, [1]);
    }
    let lease = StateKey::new("ns", "t1", "", "refused");
    assert_busy(&subject.ask(&id("refused")).await, &lease);
    assert!(
        subject
            .renew(settlements[1].held.as_ref().expect("held"))
            .await
    );
    assert_eq!(subject.tallied(&tally::<H>("refused")).await.count, 0);
    for name in ["fits", "other kind", "no letter"] {
        assert_granted(&subject.ask(&all(&[id(name), key::<H>(name)])).await);
        assert_eq!(subject.tallied(&tally::<H>(name)).await.count, 2, "{name}");
    }
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([4, 2, 1])));
}

/// The answer to a settlement may be lost, so the settlement is repeated.
pub async fn a_letter_that_is_there_is_never_refused<H: StateHarness>(harness: &H) {
    let subject = blocking(harness, 2).await;
    stored(&subject, &some([1, 2])).await;
    assert_eq!(refused(&subject, &some([2, 3, 1, 3])).await, [1, 3]);
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([2, 1])));
}

/// Room for as many as were removed.
pub async fn what_is_deleted_or_too_old_makes_room<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let context = keeping(2, H::UNIT * 5, FullPolicy::Block);
    let subject = subject.through(harness.keeping(context).await);
    stored(&subject, &some([1, 2])).await;
    delete(&subject, &dead_letter(1)).await;
    assert_eq!(refused(&subject, &some([3, 4])).await, [1]);
    subject.pass(5.5).await;
    stored(&subject, &some([4, 5])).await;
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([5, 4])));
}

/// An expired letter is neither listed nor found.
pub async fn dead_letters_are_bounded_in_age<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let context = keeping(100, H::UNIT * 5, FullPolicy::Block);
    let subject = subject.through(harness.keeping(context).await);
    let letters = some(1..=2);
    stored(&subject, &letters[..1]).await;
    subject.pass(3.0).await;
    stored(&subject, &letters[1..]).await;
    subject.pass(2.5).await;
    assert_eq!(
        ids(&listed(&*subject.state, everything()).await),
        ids(&letters[1..])
    );
    let old = subject
        .state
        .dead_letter(&everything(), &letters[0].id)
        .await
        .expect("an answer");
    assert_eq!(old, None);
}

/// For each kind separately. The bound is named while it refuses something.
pub async fn a_backend_tells_how_full_it_is<H: StateHarness>(harness: &H) {
    let subject = blocking(harness, 2).await;
    stored(&subject, &some([1])).await;
    let level = async || subject.state.ping().await.expect("an answer");
    assert_eq!(level().await.exhausted.kept, 1);
    assert_eq!(level().await.exhausted.full, None);
    stored(&subject, &[poison(2), poison(3)]).await;
    let full = level().await;
    assert_eq!((full.poison.kept, full.exhausted.kept), (2, 1));
    assert_eq!(full.poison.full.as_deref(), Some("2 of 2 poison"));
    assert_eq!((full.exhausted.full, full.keys.full), (None, None));
    delete(&subject, &dead_letter(2)).await;
    assert_eq!(level().await.poison.full, None);
}
