//! Leases at the edges of what the configuration allows.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{
    Claim, Grant, HeldReservation, Holds, Reservation, ReservationAnswer, ReservationEnd,
    Settlement, StateKey,
};
use tokio::time::advance;

use crate::MemoryState;

/// The longest that `pipeline.lease_seconds` allows.
const LONGEST: Duration = Duration::from_secs(3600);

fn claim(key: &str) -> Reservation {
    let key = StateKey::new("ns", "t1", "rule", key);
    let ttl = Duration::from_secs(86_400);
    Reservation {
        claims: [Claim { key, ttl }].into_iter().collect(),
        ..Reservation::default()
    }
}

async fn ask(state: &MemoryState, key: &str) -> ReservationAnswer {
    let mut answers = state.reserve(&[claim(key)], LONGEST).await.unwrap();
    answers.remove(0)
}

fn granted(answer: ReservationAnswer) -> Grant {
    match answer {
        ReservationAnswer::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_took_twice_the_longest_lease_is_still_confirmed() {
    let state = MemoryState::default();
    let grant = granted(ask(&state, "a").await);
    advance(2 * LONGEST - Duration::from_secs(1)).await;
    for number in 0..10_000 {
        granted(ask(&state, &number.to_string()).await);
    }
    let held = HeldReservation {
        reservation: Arc::new(claim("a")),
        grant,
    };
    let settlement = Settlement::of(held, ReservationEnd::Confirm);
    state.settle(&[settlement]).await.unwrap();
    let again = ask(&state, "a").await;
    assert!(
        matches!(again, ReservationAnswer::Duplicate { .. }),
        "{again:?}"
    );
}
