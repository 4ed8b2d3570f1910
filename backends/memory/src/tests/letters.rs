//! Dead letters are also bounded in bytes, for each kind separately.

use std::sync::Arc;

use acteon_core::dead_letter::DeadLetterBound;
use acteon_core::scope::Scope;
use acteon_core::state::{
    DeadLetterQuery, DeadLetters, Holds, Settlement, SettlementAnswer, State, StateContext,
};
use acteon_core::{DeadLetter, DeadLetterBounds, DeadLetterKind, FullPolicy, LetterFilter, Parked};
use acteon_testkit::{dead_letter, poison_letter};

use crate::{MemoryState, StateConfig};

fn bounded(bytes: usize, when_full: FullPolicy) -> MemoryState {
    let config = StateConfig {
        max_dead_letter_bytes: bytes,
        ..StateConfig::default()
    };
    let bound = DeadLetterBound {
        when_full,
        ..DeadLetterBound::default()
    };
    let dead_letters = DeadLetterBounds {
        poison: bound,
        exhausted: bound,
    };
    MemoryState::new(
        &config,
        &StateContext {
            dead_letters,
            ..StateContext::default()
        },
    )
}

fn letter(number: u32, kind: DeadLetterKind, length: usize) -> Settlement {
    let letter = match kind {
        DeadLetterKind::Poison => poison_letter(number),
        DeadLetterKind::Exhausted => dead_letter(number),
    };
    Settlement::storing(Arc::new(DeadLetter {
        raw: Parked::new(vec![0; length].into()),
        ..letter
    }))
}

fn exhausted(number: u32, length: usize) -> Settlement {
    letter(number, DeadLetterKind::Exhausted, length)
}

/// The positions of the settlements for which there is no room.
async fn refused(state: &MemoryState, settlements: &[Settlement]) -> Vec<usize> {
    let answers = state.settle(settlements).await.unwrap().into_iter();
    let refused = answers.enumerate();
    let refused = refused.filter(|(_, answer)| *answer == SettlementAnswer::NoRoom);
    refused.map(|(position, _)| position).collect()
}

async fn ids(state: &MemoryState) -> Vec<String> {
    let query = DeadLetterQuery {
        scope: Scope::everything(),
        filter: LetterFilter::default(),
        after: None,
        limit: 100,
    };
    let letters = state.dead_letters(&query).await.unwrap().letters;
    letters.iter().map(|letter| letter.id.to_string()).collect()
}

fn expected(numbers: &[u32]) -> Vec<String> {
    let id = |number: &u32| dead_letter(*number).id.to_string();
    numbers.iter().map(id).collect()
}

#[tokio::test(start_paused = true)]
async fn the_oldest_of_a_kind_makes_room_for_its_bytes() {
    let state = bounded(25_000, FullPolicy::EvictOldest);
    let poison = letter(9, DeadLetterKind::Poison, 10_000);
    let mut settlements = vec![poison];
    settlements.extend((0..5).map(|number| exhausted(number, 10_000)));
    assert!(refused(&state, &settlements).await.is_empty());
    assert_eq!(ids(&state).await, expected(&[4, 3, 9]));
}

#[tokio::test(start_paused = true)]
async fn without_room_for_its_bytes_a_letter_is_refused_and_a_smaller_one_is_not() {
    let state = bounded(25_000, FullPolicy::Block);
    let settlements = [10_000, 10_000, 10_000, 1_000];
    let settlements: Vec<_> = (0..)
        .zip(settlements)
        .map(|(number, length)| exhausted(number, length))
        .collect();
    assert_eq!(refused(&state, &settlements).await, [2]);
    assert_eq!(ids(&state).await, expected(&[3, 1, 0]));
    let full = state.ping().await.unwrap().exhausted.full.unwrap();
    assert!(full.ends_with(" of 25000 bytes of exhausted"), "{full}");
    let scope = Scope::everything();
    let deleted = state.delete_dead_letter(&scope, &dead_letter(0).id).await;
    assert!(deleted.unwrap());
    assert_eq!(state.ping().await.unwrap().exhausted.full, None);
    assert!(refused(&state, &settlements[2..3]).await.is_empty());
}

/// Otherwise its source would wait forever.
#[tokio::test(start_paused = true)]
async fn a_letter_that_is_larger_than_the_bound_is_kept_alone() {
    let state = bounded(25_000, FullPolicy::Block);
    let letters = [exhausted(0, 50_000), exhausted(1, 10)];
    assert_eq!(refused(&state, &letters).await, [1]);
    assert_eq!(ids(&state).await, expected(&[0]));
}
