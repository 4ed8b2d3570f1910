//! Leases at the edges of what the configuration allows.

use std::time::Duration;

use acteon_core::state::{
    Claim, Holds, Reservation, ReservationAnswer, ReservationEnd, Settlement, StateKey, Token,
};
use tokio::time::advance;

use crate::MemoryState;

/// The longest that `pipeline.lease_seconds` allows.
const LONGEST: Duration = Duration::from_secs(3600);

fn claim(key: &str) -> Reservation {
    let key = StateKey::new("ns", "t1", "rule", key);
    let ttl = Duration::from_secs(86_400);
    Reservation {
        token: Token::random(),
        claims: [Claim { key, ttl }].into_iter().collect(),
        ..Reservation::default()
    }
}

async fn ask(state: &MemoryState, asked: &Reservation) -> ReservationAnswer {
    let asked = std::slice::from_ref(asked);
    state.reserve(asked, LONGEST).await.unwrap().remove(0)
}

async fn take(state: &MemoryState, key: &str) -> Reservation {
    let asked = claim(key);
    let answer = ask(state, &asked).await;
    assert!(
        matches!(answer, ReservationAnswer::Granted(_)),
        "{answer:?}"
    );
    asked
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_took_twice_the_longest_lease_is_still_confirmed() {
    let state = MemoryState::default();
    let held = take(&state, "a").await;
    advance(2 * LONGEST - Duration::from_secs(1)).await;
    for number in 0..10_000 {
        take(&state, &number.to_string()).await;
    }
    let settlement = Settlement::of(held.into(), ReservationEnd::Confirm);
    state.settle(&[settlement]).await.unwrap();
    let again = ask(&state, &claim("a")).await;
    assert!(
        matches!(again, ReservationAnswer::Duplicate { .. }),
        "{again:?}"
    );
}
