use std::num::NonZeroUsize;

use acteon_core::dead_letter::DeadLetterBound;
use acteon_core::state::{Reservation, Settlement, StateContext, StateKey};
use acteon_core::{DeadLetterBounds, FullPolicy};
use acteon_testkit::{Reach, UnreachableState, dead_letter};
use serde_json::{Value, json};
use std::time::Duration;

use super::*;
use crate::adapters::AdapterSet;

/// A state with room for two keys, and two dead letters that could not be delivered.
async fn small(when_full: FullPolicy) -> Arc<dyn State> {
    let exhausted = DeadLetterBound {
        max: NonZeroUsize::new(2).unwrap(),
        when_full,
        ..DeadLetterBound::default()
    };
    let dead_letters = DeadLetterBounds {
        exhausted,
        ..DeadLetterBounds::default()
    };
    built(json!({"max_keys": 2}), dead_letters).await
}

async fn built(options: Value, dead_letters: DeadLetterBounds) -> Arc<dyn State> {
    let plan = AdapterSet::built_in().states.plan("memory", options);
    plan.unwrap()
        .build(StateContext {
            dead_letters,
            ..StateContext::default()
        })
        .await
        .unwrap()
}

async fn parts(state: &Arc<dyn State>) -> Vec<Part> {
    let parts = ReadinessParts {
        pipeline: Box::new(|| Part::ready("pipeline")),
        state: state.clone(),
        audit: None,
        sources: Vec::new(),
    };
    let mut parts = parts.parts().await;
    parts.retain(|part| part.name != "pipeline");
    parts
}

async fn store_letters(state: &Arc<dyn State>, numbers: std::ops::Range<u32>) {
    let settlements: Vec<_> = numbers
        .map(|number| Settlement::storing(Arc::new(dead_letter(number))))
        .collect();
    state.settle(&settlements).await.unwrap();
}

#[tokio::test]
async fn dead_letters_that_are_full_are_named_until_there_is_room() {
    let state = small(FullPolicy::Block).await;
    let ready = [Part::ready("state"), Part::ready("dead_letters")];
    store_letters(&state, 0..1).await;
    assert_eq!(parts(&state).await, ready);
    store_letters(&state, 1..3).await;
    let full = Part::unready("dead_letters", "full: 2 of 2 exhausted; the sources wait");
    assert_eq!(parts(&state).await, [Part::ready("state"), full]);
    let scope = acteon_core::Scope::everything();
    let id = dead_letter(0).id;
    assert!(state.delete_dead_letter(&scope, &id).await.unwrap());
    assert_eq!(parts(&state).await, ready);
}

#[tokio::test]
async fn dead_letters_that_make_room_for_others_hold_up_nobody() {
    let state = small(FullPolicy::EvictOldest).await;
    store_letters(&state, 0..9).await;
    let ready = [Part::ready("state"), Part::ready("dead_letters")];
    assert_eq!(parts(&state).await, ready);
}

#[tokio::test]
async fn a_state_that_is_full_is_named() {
    let state = small(FullPolicy::Block).await;
    let asked = ["a", "b"].map(|name| Reservation {
        lease: Some(StateKey::new("ns", "t1", "", name)),
        ..Reservation::default()
    });
    state
        .reserve(&asked, Duration::from_secs(30))
        .await
        .unwrap();
    let detail = "full: 2 of 2 keys; actions that need a new key are refused";
    let full = Part::unready("state", detail);
    assert_eq!(parts(&state).await, [full, Part::ready("dead_letters")]);
}

#[tokio::test]
async fn a_state_that_has_no_room_for_groups_is_named() {
    let options = json!({"max_group_bytes": 4000});
    let state = built(options, DeadLetterBounds::default()).await;
    let detail = "full: 0 of 4000 bytes of groups; actions that join groups are refused";
    let full = Part::unready("state", detail);
    assert_eq!(parts(&state).await, [full, Part::ready("dead_letters")]);
}

#[tokio::test]
async fn of_a_state_that_does_not_answer_nothing_is_known() {
    let state = UnreachableState::before(small(FullPolicy::Block).await);
    state.set_reach(Reach::CutOff);
    let state: Arc<dyn State> = state;
    let error = "the state backend does not answer";
    let away = ["state", "dead_letters"].map(|name| Part::unready(name, error));
    assert_eq!(parts(&state).await, away);
}
