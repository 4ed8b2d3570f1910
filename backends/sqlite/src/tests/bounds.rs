//! What happens at the bounds of the state, and how expired rows make room.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::DeadLetterKind;
use acteon_core::state::{
    Claim, Quota, Reservation, ReservationAnswer, ReservationEnd, Settlement, SettlementAnswer,
    State, StateContext, StateKey, Tally, Token, WhenFull,
};
use rusqlite::Connection;
use serde_json::json;
use tokio::time::advance;

use super::Sqlite;

const LEASE: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

fn name(number: u32) -> StateKey {
    StateKey::new("ns", "t1", "rule", &number.to_string())
}

/// A claim that is kept for an hour.
fn claim(number: u32) -> Reservation {
    Reservation {
        token: Token::random(),
        claims: [Claim {
            key: name(number),
            ttl: HOUR,
        }]
        .into(),
        ..Reservation::default()
    }
}

/// A place in a window of a minute.
fn place(number: u32) -> Reservation {
    Reservation {
        token: Token::random(),
        quotas: vec![Quota {
            key: name(number),
            max_count: 1,
            window: Duration::from_secs(60),
            when_full: WhenFull::Refuse,
        }],
        ..Reservation::default()
    }
}

fn tally(number: u32) -> Tally {
    Tally {
        key: name(number),
        within: HOUR,
    }
}

pub(super) async fn with_keys(sqlite: &Sqlite, max_keys: u32) -> Arc<dyn State> {
    let options = json!({"synchronous": "normal", "max_keys": max_keys});
    sqlite.open_state(options, StateContext::default()).await
}

/// How many of these are granted.
async fn granted(state: &dyn State, asked: &[Reservation]) -> usize {
    let answers = state.reserve(asked, LEASE).await.unwrap();
    let is_granted = |answer: &&ReservationAnswer| matches!(answer, ReservationAnswer::Granted(_));
    answers.iter().filter(is_granted).count()
}

async fn confirm(state: &dyn State, asked: Vec<Reservation>) {
    let confirmed = |held: Reservation| Settlement::of(held.into(), ReservationEnd::Confirm);
    let settlements: Vec<_> = asked.into_iter().map(confirmed).collect();
    state.settle(&settlements).await.unwrap();
}

pub(super) async fn kept(state: &dyn State) -> u64 {
    state.ping().await.unwrap().keys.kept
}

/// The rows that count as keys, counted.
pub(super) fn rows(sqlite: &Sqlite) -> u64 {
    let file = Connection::open(sqlite.path()).unwrap();
    let tables = [
        "holds",
        "counts",
        "places",
        "events",
        "event_entries",
        "event_ends",
    ];
    let count = |table| -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, [], |row| row.get(0)).unwrap()
    };
    tables.map(count).iter().sum::<i64>().unsigned_abs()
}

#[tokio::test(start_paused = true)]
async fn at_its_bound_new_keys_are_refused_until_others_are_released() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 10).await;
    let first: Vec<_> = (0..12).map(claim).collect();
    assert_eq!(granted(&*state, &first).await, 10);
    let fullness = state.ping().await.unwrap();
    assert_eq!(fullness.keys.full.as_deref(), Some("10 of 10 keys"));
    assert_eq!(granted(&*state, &[claim(20), place(20)]).await, 0);
    let release = Settlement::of(first[3].clone().into(), ReservationEnd::Release);
    state.settle(&[release]).await.unwrap();
    assert_eq!(state.ping().await.unwrap().keys.full, None);
    assert_eq!(granted(&*state, &[claim(20)]).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_state_has_room_again_once_its_keys_have_expired() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 100).await;
    let first: Vec<_> = (0..100).map(claim).collect();
    assert_eq!(granted(&*state, &first).await, 100);
    confirm(&*state, first).await;
    assert_eq!(granted(&*state, &[claim(200)]).await, 0);
    advance(HOUR + Duration::from_secs(1)).await;
    assert_eq!(state.ping().await.unwrap().keys.full, None);
    let second: Vec<_> = (200..300).map(claim).collect();
    assert_eq!(granted(&*state, &second).await, 100);
}

#[tokio::test(start_paused = true)]
async fn expired_rows_are_deleted_as_new_ones_arrive_and_the_level_is_what_is_there() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 1_000_000).await;
    for round in 0..10 {
        let first = round * 200;
        let mut asked: Vec<_> = (first..first + 100).map(claim).collect();
        asked.extend((first + 100..first + 200).map(place));
        assert_eq!(granted(&*state, &asked).await, 200);
        let counted = (first..first + 100).map(|number| Settlement::counting(vec![tally(number)]));
        state.settle(&counted.collect::<Vec<_>>()).await.unwrap();
        confirm(&*state, asked).await;
        assert_eq!(kept(&*state).await, rows(&sqlite));
        advance(HOUR * 2).await;
    }
    let left = rows(&sqlite);
    assert!(left <= 600, "{left} rows are left of 4000");
}

#[tokio::test(start_paused = true)]
async fn counts_under_new_keys_leave_the_last_eighth_to_reservations() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 80).await;
    let counting = |number| Settlement::counting(vec![tally(number)]);
    let settlements: Vec<_> = (0..80).map(counting).collect();
    state.settle(&settlements).await.unwrap();
    assert_eq!(kept(&*state).await, 70);
    state.settle(&[counting(3)]).await.unwrap();
    let claims: Vec<_> = (0..20).map(claim).collect();
    assert_eq!(granted(&*state, &claims).await, 10);
}

#[tokio::test(start_paused = true)]
async fn the_level_is_right_after_a_restart() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 100).await;
    let asked: Vec<_> = (0..30).map(claim).chain((0..10).map(place)).collect();
    assert_eq!(granted(&*state, &asked).await, 40);
    state.embedded().unwrap().close().await;
    let state = with_keys(&sqlite, 100).await;
    assert_eq!((kept(&*state).await, rows(&sqlite)), (50, 50));
}

#[tokio::test(start_paused = true)]
async fn letters_are_bounded_in_bytes_and_the_bound_is_named_while_it_refuses() {
    let sqlite = Sqlite::default();
    let options = json!({"synchronous": "normal", "max_dead_letter_bytes": 4000});
    let state = sqlite.open_state(options, StateContext::default()).await;
    let letter = |number| Settlement::storing(acteon_testkit::dead_letter(number).into());
    let letters: Vec<_> = (0..20).map(letter).collect();
    let answers = state.settle(&letters).await.unwrap();
    let is_stored = |answer: &&SettlementAnswer| **answer == SettlementAnswer::Applied;
    let stored = answers.iter().filter(is_stored).count() as u64;
    assert!((3..10).contains(&stored), "{stored} fit in 4000 bytes");
    let level = state.ping().await.unwrap();
    let level = level.of(DeadLetterKind::Exhausted);
    assert_eq!(level.kept, stored);
    let full = level.full.as_deref().unwrap();
    assert!(full.ends_with("of 4000 bytes of exhausted"), "{full}");
}
