//! Remembered outcomes have separate bounds, at which old ones are evicted.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{
    Holds, Recall, RememberedOutcome, Reservation, ReservationAnswer, ReservationEnd, Settlement,
    State, StateContext, StateKey, Token,
};
use acteon_core::{ActionOutcome, ProviderResponse};
use serde_json::json;
use tokio::time::advance;

use crate::{MemoryState, StateConfig};

const LEASE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(300);

fn id(number: usize) -> Reservation {
    Reservation {
        token: Token::random(),
        lease: Some(StateKey::new("ns", "t1", "", &format!("id-{number:09}"))),
        recall: Recall::Yes,
        ..Reservation::default()
    }
}

fn executed(length: usize) -> ActionOutcome {
    let body = json!({"text": "x".repeat(length)});
    ActionOutcome::Executed(ProviderResponse::success(&body).unwrap())
}

/// Reserves and settles this many actions in two calls. Returns how many were refused.
async fn serve(state: &MemoryState, first: usize, count: usize, outcome: &ActionOutcome) -> usize {
    let asked: Vec<_> = (first..first + count).map(id).collect();
    let answers = state.reserve(&asked, LEASE).await.unwrap();
    let held = asked
        .into_iter()
        .zip(answers)
        .filter_map(|(asked, answer)| match answer {
            ReservationAnswer::Granted(_) => Some(Arc::new(asked)),
            _ => None,
        });
    let settlements: Vec<_> = held
        .map(|held| Settlement {
            remember: held.lease.clone().map(|under| RememberedOutcome {
                under,
                outcome: outcome.clone(),
                ttl: TTL,
            }),
            ..Settlement::of(held, ReservationEnd::Confirm)
        })
        .collect();
    state.settle(&settlements).await.unwrap();
    count - settlements.len()
}

async fn is_remembered(state: &MemoryState, number: usize) -> bool {
    let answer = state.reserve(&[id(number)], LEASE).await.unwrap();
    matches!(answer[0], ReservationAnswer::Remembered(_))
}

/// Uses a thousandth of 13,000 actions per second and of the default bounds.
#[tokio::test(start_paused = true)]
async fn five_minutes_of_actions_with_ids_fill_no_bound_that_refuses() {
    let config = StateConfig::default();
    let config = StateConfig {
        max_keys: NonZeroUsize::new(config.max_keys.get() / 1000).unwrap(),
        max_remembered: config.max_remembered / 1000,
        max_remembered_bytes: config.max_remembered_bytes / 1000,
        ..config
    };
    let state = MemoryState::new(&config, &StateContext::default());
    for second in 0..600 {
        assert_eq!(serve(&state, second * 13, 13, &executed(1)).await, 0);
        advance(Duration::from_secs(1)).await;
    }
    let (keys, bytes) = state.shards.size();
    assert_eq!(keys, 0, "what is remembered takes no key");
    assert!(bytes <= 2 * config.max_remembered_bytes, "{bytes} bytes");
    assert!(is_remembered(&state, 599 * 13).await);
    let full = state.ping().await.unwrap().keys.full;
    assert_eq!(full, None);
}

#[tokio::test(start_paused = true)]
async fn remembered_outcomes_are_bounded_in_bytes_and_the_oldest_goes() {
    let config = StateConfig {
        max_keys: NonZeroUsize::new(1000).unwrap(),
        max_remembered_bytes: 10_000,
        ..StateConfig::default()
    };
    let state = MemoryState::new(&config, &StateContext::default());
    assert_eq!(serve(&state, 0, 4, &executed(4000)).await, 0);
    for (number, remembered) in [false, false, true, true].into_iter().enumerate() {
        assert_eq!(is_remembered(&state, number).await, remembered, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn outcomes_whose_time_is_over_are_forgotten_while_others_come() {
    let state = MemoryState::default();
    for batch in 0..600 {
        assert_eq!(serve(&state, batch * 100, 100, &executed(1)).await, 0);
        advance(TTL / 100).await;
        let most = state.shards.remembered();
        assert!(most <= 12_000, "{most} of 10,000 in force");
    }
}

#[tokio::test]
async fn an_outcome_takes_the_memory_it_is_counted_for() {
    let state = MemoryState::default();
    serve(&state, 0, 10_000, &executed(100)).await;
    let (_, bytes) = state.shards.size();
    let each = bytes / 10_000;
    assert!((200..600).contains(&each), "{each} bytes each");
}
