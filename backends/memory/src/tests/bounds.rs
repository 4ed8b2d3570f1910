//! The behaviour of the state at its bounds, and the memory of a key.

use std::num::NonZeroUsize;
use std::time::Duration;

use acteon_core::state::{
    Claim, Holds, Quota, Reservation, ReservationAnswer, ReservationEnd, Settlement, StateContext,
    StateKey, Token, WhenFull,
};
use tokio::time::advance;

use crate::{MemoryState, StateConfig};

const LEASE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(300);

fn bounded(max_keys: usize) -> MemoryState {
    let config = StateConfig {
        max_keys: NonZeroUsize::new(max_keys).unwrap(),
        ..StateConfig::default()
    };
    MemoryState::new(&config, &StateContext::default())
}

/// A dedup key of realistic length.
fn claim(number: usize) -> Reservation {
    let name = format!("order-{number:012}/2026-01-01");
    Reservation {
        claims: [Claim {
            key: StateKey::new("production", "customer-1", "dedup-orders", &name),
            ttl: TTL,
        }]
        .into(),
        ..Reservation::default()
    }
}

fn id(name: &str) -> Reservation {
    Reservation {
        lease: Some(StateKey::new("ns", "t1", "", name)),
        ..Reservation::default()
    }
}

fn quota(number: usize, max_count: u32) -> Reservation {
    Reservation {
        quotas: vec![Quota {
            key: StateKey::new("ns", "t1", "throttle", &number.to_string()),
            max_count,
            window: Duration::from_secs(60),
            when_full: WhenFull::Refuse,
        }],
        ..Reservation::default()
    }
}

fn named(asked: &Reservation) -> Reservation {
    Reservation {
        token: Token::random(),
        ..asked.clone()
    }
}

/// Reserves each under a new token.
async fn ask(state: &MemoryState, asked: &[Reservation]) -> Vec<ReservationAnswer> {
    let asked: Vec<_> = asked.iter().map(named).collect();
    state.reserve(&asked, LEASE).await.unwrap()
}

/// Reserves these and delivers what is granted. Returns how many are granted.
async fn serve(state: &MemoryState, asked: &[Reservation]) -> usize {
    let asked: Vec<_> = asked.iter().map(named).collect();
    let answers = state.reserve(&asked, LEASE).await.unwrap();
    let granted = asked.into_iter().zip(answers);
    let granted = granted.filter(|(_, answer)| matches!(answer, ReservationAnswer::Granted(_)));
    let ends = granted.map(|(held, _)| Settlement::of(held.into(), ReservationEnd::Confirm));
    let ends: Vec<_> = ends.collect();
    state.settle(&ends).await.unwrap();
    ends.len()
}

/// Reserves all of these and delivers them.
async fn deliver(state: &MemoryState, asked: &[Reservation]) {
    assert_eq!(serve(state, asked).await, asked.len());
}

fn is_full(answer: &ReservationAnswer) -> bool {
    matches!(answer, ReservationAnswer::Full)
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_new_keys_are_refused_and_no_record_in_force_goes() {
    let state = bounded(10);
    let records: Vec<_> = (0..5).map(claim).collect();
    deliver(&state, &records).await;
    let held: Vec<_> = (5..9).map(claim).collect();
    ask(&state, &held).await;
    deliver(&state, &[quota(0, 5)]).await;
    for refused in [claim(9), id("a"), quota(1, 5), quota(0, 5)] {
        assert!(is_full(&ask(&state, &[refused]).await[0]));
    }
    let duplicates = ask(&state, &records).await;
    assert!(
        duplicates
            .iter()
            .all(|answer| matches!(answer, ReservationAnswer::Duplicate { .. }))
    );
    let busy = ask(&state, &held).await;
    assert!(
        busy.iter()
            .all(|answer| matches!(answer, ReservationAnswer::Busy(_)))
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_over_makes_room_for_new_keys() {
    let state = bounded(10);
    let records: Vec<_> = (0..10).map(claim).collect();
    deliver(&state, &records).await;
    assert!(is_full(&ask(&state, &[claim(10)]).await[0]));
    advance(TTL).await;
    let fresh: Vec<_> = (10..20).map(claim).collect();
    deliver(&state, &fresh).await;
    assert!(is_full(&ask(&state, &[claim(20)]).await[0]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_the_bound_leaves_nothing_behind() {
    let state = bounded(2);
    deliver(&state, &[claim(0)]).await;
    let mut greedy = id("a");
    greedy.claims = claim(0).claims;
    assert!(matches!(
        ask(&state, &[greedy]).await[0],
        ReservationAnswer::Duplicate { claim: 0 }
    ));
    assert!(matches!(
        ask(&state, &[id("a")]).await[0],
        ReservationAnswer::Granted(_)
    ));
    assert!(is_full(&ask(&state, &[id("b")]).await[0]));
    assert_eq!(state.shards.size().0, 2);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_over_are_swept_while_others_come() {
    let state = MemoryState::default();
    let mut most = 0;
    for batch in 0..600 {
        let asked: Vec<_> = (0..100).map(|n| claim(batch * 100 + n)).collect();
        deliver(&state, &asked).await;
        advance(TTL / 100).await;
        most = most.max(state.shards.size().0);
    }
    assert!(
        most < 15_000,
        "10,000 keys are in force at a time, but {most} were kept"
    );
}

#[tokio::test(start_paused = true)]
async fn throttle_keys_that_are_over_are_swept_while_others_come() {
    let state = MemoryState::default();
    let mut most = 0;
    for batch in 0..600 {
        let asked: Vec<_> = (0..100).map(|n| quota(batch * 100 + n, 5)).collect();
        deliver(&state, &asked).await;
        advance(Duration::from_millis(600)).await;
        most = most.max(state.shards.size().0);
    }
    assert!(
        most < 15_000,
        "10,000 keys are in force at a time, but {most} were kept"
    );
}

#[tokio::test]
async fn a_dedup_key_takes_at_most_200_bytes_however_full_its_table_is() {
    let state = MemoryState::default();
    for batch in 0..1000 {
        let asked: Vec<_> = (0..256).map(|n| claim(batch * 256 + n)).collect();
        ask(&state, &asked).await;
        let (keys, bytes) = state.shards.size();
        assert!(
            keys < 2000 || bytes <= 110 * keys,
            "{bytes} bytes for {keys} keys"
        );
    }
}

#[tokio::test]
async fn a_throttle_key_takes_at_most_200_bytes() {
    // A Zipf distribution: the key of rank r is requested 1/r as often as the first.
    let state = MemoryState::default();
    for key in 0..20_000_usize {
        let asked = vec![quota(key, 100); (20_000 / (key + 1)).clamp(1, 200)];
        serve(&state, &asked).await;
    }
    let (keys, bytes) = state.shards.size();
    assert_eq!(keys, 20_000);
    assert!(bytes <= 200 * keys, "{} bytes a key", bytes / keys);
}
