//! Clauses about dead letters: stored once, and visible only inside their scope.

use std::sync::Arc;

use acteon_core::attempt::AttemptRecord;
use acteon_core::outcome::FailureCode;
use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::{DeadLetter, DeadLetterKind, DeliveryProgress, FullPolicy, Parked, State};
use bytes::Bytes;

use super::StateHarness;
use super::letter_bounds::keeping;
use super::subject::*;
use crate::records::{dead_letter, poison_letter};

pub(super) fn everything() -> Scope {
    Scope::everything()
}

pub(super) async fn stored<H: StateHarness>(subject: &Subject<'_, H>, letters: &[Arc<DeadLetter>]) {
    let settlements: Vec<_> = letters.iter().map(stored_letter).collect();
    subject.settle_all(&settlements).await;
}

pub(super) async fn listed(state: &dyn State, scope: Scope) -> Vec<Arc<DeadLetter>> {
    state
        .dead_letters(&all_letters(scope))
        .await
        .expect("a page")
        .letters
}

pub(super) fn ids(letters: &[Arc<DeadLetter>]) -> Vec<&str> {
    letters.iter().map(|letter| letter.id.as_str()).collect()
}

pub(super) fn some(numbers: impl IntoIterator<Item = u32>) -> Vec<Arc<DeadLetter>> {
    numbers
        .into_iter()
        .map(|number| Arc::new(dead_letter(number)))
        .collect()
}

fn attempt(status: u16) -> AttemptRecord {
    AttemptRecord {
        at: "2026-01-01T00:00:00.123456789Z".parse().expect("a time"),
        provider: "log".into(),
        status: Some(status),
        code: Some(FailureCode::ExecutionFailed),
        duration_ms: 12,
        excerpt: Some("“no” 'yet' \\ \"".into()),
    }
}

/// Including bytes that are not text, and together with the settlement of a hold.
pub async fn dead_letters_come_back_as_they_were<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let exhausted = Arc::new(DeadLetter {
        history: vec![attempt(503), attempt(429)],
        ..dead_letter(1)
    });
    let held = subject.take(&key::<H>("k")).await;
    let mut settlement = failed(&held);
    settlement.dead_letter = Some(exhausted.clone());
    subject.settle(settlement).await;
    assert_granted(&subject.ask(&key::<H>("k")).await);
    let poison = Arc::new(DeadLetter {
        code: "INVALID_JSON".into(),
        message: "expected `,` at line 1 column 2 — “{'é'”".into(),
        attempts: 0,
        raw: Parked::new(Bytes::from_static(b"\0\xff{\xc3\x28'\"\\")),
        ..poison_letter(2)
    });
    subject.dead_letter(&poison).await;
    for letter in [&exhausted, &poison] {
        let found = subject
            .state
            .dead_letter(&everything(), &letter.id)
            .await
            .expect("an answer");
        assert_eq!(found.as_ref(), Some(letter));
    }
    assert_eq!(
        listed(&*subject.state, everything()).await,
        [poison, exhausted]
    );
}

/// A message that is read twice gives one dead letter.
pub async fn a_dead_letter_is_stored_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let letters = some([1, 2, 1]);
    stored(&subject, &letters).await;
    stored(&subject, &letters[..1]).await;
    let page = subject
        .state
        .dead_letters(&all_letters(everything()))
        .await
        .expect("a page");
    assert_eq!((page.letters.len(), page.next), (2, None));
    assert_eq!(page.total, subject.total(2));
}

/// Each once, even if others arrive in between.
pub async fn dead_letters_are_listed_page_by_page<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    stored(&subject, &some([3, 1, 5, 2, 4])).await;
    let mut query = all_letters(everything());
    query.limit = 2;
    let mut seen = Vec::new();
    for page_number in 0..3 {
        let page = subject.state.dead_letters(&query).await.expect("a page");
        assert_eq!(page.next.is_some(), page_number < 2, "page {page_number}");
        assert_eq!(page.total, subject.total(5 + u64::from(page_number)));
        query.after = page.next;
        seen.extend(page.letters);
        stored(&subject, &some([10 + page_number])).await;
    }
    assert_eq!(ids(&seen), ids(&some([4, 2, 5, 1, 3])));
}

/// A producer chooses the times of its messages, and thereby the ids of their letters. Neither affects the order.
/// Letters of one slice keep the order of the slice.
pub async fn letters_are_listed_and_evicted_by_when_they_were_stored<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let context = keeping(3, H::UNIT * 1000, FullPolicy::EvictOldest);
    let subject = subject.through(harness.keeping(context).await);
    stored(&subject, &some([9, 7])).await;
    stored(&subject, &some([8])).await;
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([8, 7, 9])));
    stored(&subject, &some([1, 2])).await;
    let letters = listed(&*subject.state, everything()).await;
    assert_eq!(ids(&letters), ids(&some([2, 1, 8])));
}

/// By each of the filters. `total` counts the matches.
pub async fn dead_letters_are_filtered<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut letters = [
        dead_letter(1),
        poison_letter(2),
        dead_letter(3),
        DeadLetter {
            code: "OTHER".into(),
            ..dead_letter(4)
        },
    ];
    if let Some(action) = &mut letters[2].action {
        action.namespace = "other".into();
    }
    if let Some(action) = &mut letters[3].action {
        action.tenant = "t2".into();
        action.provider = "other".into();
        action.action_type = "other".into();
    }
    let letters = letters.map(Arc::new);
    stored(&subject, &letters).await;
    let mut queries = vec![all_letters(everything()); 9];
    queries[1].filter.kind = Some(DeadLetterKind::Poison);
    queries[2].filter.namespace = Some("other".into());
    queries[3].filter.tenant = Some("t1".into());
    queries[4].filter.provider = Some("other".into());
    queries[5].filter.action_type = Some("other".into());
    queries[6].filter.code = Some("OTHER".into());
    queries[7].filter.from = Some(letters[2].created_at);
    queries[8].filter.to = Some(letters[2].created_at);
    let expected: [&[usize]; 9] = [
        &[3, 2, 1, 0],
        &[1],
        &[2],
        &[2, 0],
        &[3],
        &[3],
        &[3],
        &[3, 2],
        &[1, 0],
    ];
    for (query, expected) in queries.iter().zip(expected) {
        let page = subject.state.dead_letters(query).await.expect("a page");
        let expected: Vec<_> = expected.iter().map(|at| letters[*at].clone()).collect();
        assert_eq!(ids(&page.letters), ids(&expected), "{query:?}");
        assert_eq!(page.total, subject.total(expected.len() as u64));
    }
}

fn scope(namespace: &str, tenant: &str, action_type: &str) -> Scope {
    Scope::new([grant(namespace, tenant, action_type)])
}

fn grant(namespace: &str, tenant: &str, action_type: &str) -> ScopeGrant {
    let pattern = |text: &str| vec![Pattern::from(text)];
    ScopeGrant {
        tenants: pattern(tenant),
        namespaces: pattern(namespace),
        action_types: pattern(action_type),
    }
}

/// Neither listing nor counting nor naming nor deleting reaches it. The grants of a scope are not mixed with each
/// other.
pub async fn nobody_sees_or_deletes_a_dead_letter_outside_their_scope<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let letter = dead_letter(1);
    stored(&subject, &[Arc::new(letter.clone())]).await;
    let foreign = [
        scope("ns", "t2", "*"),
        scope("n", "t1", "*"),
        scope("other*", "t1", "*"),
        scope("ns", "t1", "tes"),
        scope("ns", "T1", "*"),
        scope("ns", "t_", "*"),
        scope("ns", "t%", "*"),
        Scope::new([]),
        Scope::new([grant("ns", "t2", "*"), grant("other", "t1", "*")]),
    ];
    for scope in foreign {
        let page = subject
            .state
            .dead_letters(&all_letters(scope.clone()))
            .await
            .expect("a page");
        assert_eq!(page.letters.len(), 0, "{scope:?}");
        assert_eq!(page.total, subject.total(0), "{scope:?}");
        let found = subject
            .state
            .dead_letter(&scope, &letter.id)
            .await
            .expect("an answer");
        assert_eq!(found, None, "{scope:?}");
        let deleted = subject.state.delete_dead_letter(&scope, &letter.id).await;
        assert!(!deleted.expect("an answer"), "{scope:?}");
    }
    for scope in [
        scope("ns", "t1", "*"),
        scope("n*", "t*", "te*"),
        scope("*", "*", "test"),
    ] {
        assert_eq!(
            listed(&*subject.state, scope.clone()).await.len(),
            1,
            "{scope:?}"
        );
    }
}

/// Only inside the scope, and everything else of the letter stays.
pub async fn the_progress_of_a_dead_letter_is_replaced<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut letters = some([1, 2]);
    stored(&subject, &letters).await;
    let id = letters[0].id.clone();
    for state in ["a", "a,b"] {
        let progress = DeliveryProgress {
            has_accepted: true,
            state: state.into(),
        };
        let set = |scope| {
            let (id, progress, subject) = (&id, &progress, &subject);
            async move { subject.state.set_progress(&scope, id, progress).await }
        };
        assert!(!set(scope("ns", "t2", "*")).await.expect("an answer"));
        assert!(set(everything()).await.expect("an answer"));
        let action = Arc::make_mut(&mut letters[0]).action.as_mut();
        action.expect("an action").progress = Some(Box::new(progress));
        let found = subject.state.dead_letter(&everything(), &id).await;
        assert_eq!(found.expect("an answer").as_ref(), Some(&letters[0]));
        let second = subject
            .state
            .dead_letter(&everything(), &letters[1].id)
            .await;
        assert_eq!(second.expect("an answer").as_ref(), Some(&letters[1]));
    }
    let progress = DeliveryProgress {
        has_accepted: true,
        state: "a".into(),
    };
    let scope = everything();
    let gone = subject.state.set_progress(&scope, "gone", &progress).await;
    assert!(!gone.expect("an answer"));
}

/// Deleting works once. The second call finds none.
pub async fn a_deleted_dead_letter_is_gone<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let letters = some([1, 2]);
    stored(&subject, &letters).await;
    let scope = everything();
    let delete = || subject.state.delete_dead_letter(&scope, &letters[0].id);
    assert!(delete().await.expect("an answer"));
    assert!(!delete().await.expect("an answer"));
    assert_eq!(
        ids(&listed(&*subject.state, everything()).await),
        ids(&letters[1..])
    );
}

/// A durable backend has them after a restart.
pub async fn dead_letters_survive_where_they_are_durable<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    stored(&subject, &some([1])).await;
    let after = match subject.state.capabilities().durable {
        true => harness.reopened().await,
        false => subject.state,
    };
    assert_eq!(listed(&*after, everything()).await, some([1]));
}
