//! The behaviour of counts and events at the bound, and the memory of a tally.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, EventPhase, Holds, Question, Reservation,
    ReservationAnswer, Settlement, StateContext, StateKey, Tally, Token,
};
use acteon_testkit::{Event, write_events};
use compact_str::format_compact;
use parking_lot::Mutex;
use tokio::time::advance;

use crate::{MemoryState, StateConfig};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn bounded(max_keys: usize) -> MemoryState {
    let config = StateConfig {
        max_keys: NonZeroUsize::new(max_keys).unwrap(),
        ..StateConfig::default()
    };
    MemoryState::new(&config, &StateContext::default())
}

/// A key of realistic length.
fn tally(number: usize) -> Tally {
    let name = format!("86400:login-failed/user-{number:09}");
    Tally {
        key: StateKey::new("production", "customer-1", "", &name),
        within: DAY,
    }
}

async fn count_actions(state: &MemoryState, numbers: impl Iterator<Item = usize>) {
    let settlement = Settlement::counting(numbers.map(tally).collect());
    state.settle(&[settlement]).await.unwrap();
}

async fn count(state: &MemoryState, number: usize) -> u64 {
    let question = Question::Tally(tally(number));
    match state.gather(&[question]).await.unwrap().answers[..] {
        [Answer::Tally(tallied)] => tallied.count,
        ref other => panic!("{other:?}"),
    }
}

/// How many of `count` new ids are granted.
async fn granted(state: &MemoryState, count: usize) -> usize {
    let asked: Vec<_> = (0..count)
        .map(|number| Reservation {
            token: Token::random(),
            lease: Some(StateKey::new("ns", "t1", "", &number.to_string())),
            ..Reservation::default()
        })
        .collect();
    let answers = state.reserve(&asked, DAY).await.unwrap();
    let is_granted = |answer: &&ReservationAnswer| matches!(answer, ReservationAnswer::Granted(_));
    answers.iter().filter(is_granted).count()
}

fn event(number: usize, values: usize) -> Event {
    Event {
        namespace: "ns".into(),
        tenant: "t1".into(),
        fingerprint: format_compact!("event {number}"),
        event_type: "outage".into(),
        state: "open".into(),
        phase: EventPhase::Active,
        values: (0..values)
            .map(|n| format_compact!("{number}.{n}"))
            .collect(),
    }
}

fn ended(event: Event, retention: Duration) -> Event {
    Event {
        phase: EventPhase::Ended(retention),
        ..event
    }
}

async fn is_active(state: &MemoryState, value: &str) -> bool {
    let question = Question::ActiveEvent(ActiveEventQuestion {
        event_type: StateKey::new("ns", "t1", "", "outage"),
        carrying: Carrying::Value(value.into()),
        grace: Duration::ZERO,
    });
    state.gather(&[question]).await.unwrap().answers == [Answer::ActiveEvent(true)]
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_counts_under_new_keys_are_dropped_and_others_kept() {
    let state = bounded(16);
    assert_eq!(granted(&state, 10).await, 10);
    count_actions(&state, 0..10).await;
    count_actions(&state, 0..10).await;
    for number in 0..10 {
        let expected = if number < 4 { 2 } else { 0 };
        assert_eq!(count(&state, number).await, expected, "{number}");
    }
    assert_eq!(state.shards.size().0, 14);
    assert_eq!(granted(&state, 10).await, 0, "no lease was evicted");
}

#[tokio::test(start_paused = true)]
async fn however_much_is_counted_and_written_an_eighth_is_left_to_reservations() {
    for max_keys in [16, 1024, 80_000] {
        let state = bounded(max_keys);
        for batch in 0..max_keys / 8 {
            count_actions(&state, batch * 10..batch * 10 + 10).await;
        }
        let error = write_events(&state, &[event(0, 3)]).await.unwrap_err();
        assert!(!format!("{error:?}").is_empty());
        let eighth = max_keys / 8;
        let granted = granted(&state, 2 * eighth).await;
        assert!(granted >= eighth * 97 / 100, "{granted} of {eighth}");
    }
}

#[tokio::test(start_paused = true)]
async fn tallies_that_are_over_make_room() {
    let state = bounded(16);
    count_actions(&state, 0..14).await;
    count_actions(&state, 14..15).await;
    assert_eq!(count(&state, 14).await, 0);
    advance(DAY).await;
    count_actions(&state, 14..28).await;
    for number in 14..28 {
        assert_eq!(count(&state, number).await, 1, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn tallies_that_are_over_are_swept_while_others_come() {
    let state = MemoryState::default();
    let mut most = 0;
    for batch in 0..600 {
        count_actions(&state, batch * 100..batch * 100 + 100).await;
        advance(DAY / 100).await;
        most = most.max(state.shards.size().0);
    }
    assert!(
        most < 15_000,
        "10,000 keys are in force at a time, but {most} were kept"
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_counts_are_logged_once_a_minute_with_their_number() {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer({
            let written = written.clone();
            move || written.clone()
        })
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let state = bounded(1);
    for seconds in [0, 30, 29, 1, 0] {
        advance(Duration::from_secs(seconds)).await;
        count_actions(&state, 0..5).await;
    }
    let text = String::from_utf8(written.0.lock().clone()).unwrap();
    let counts: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["fields"]["count"].as_u64())
        .collect();
    assert_eq!(counts, [Some(4), Some(12)], "{text}");
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_events_are_refused_and_can_still_end() {
    let state = bounded(16);
    // An event with two values takes six places: itself, its type, and each value twice.
    write_events(&state, &[event(0, 2), event(1, 2)])
        .await
        .unwrap();
    let refused = write_events(&state, &[event(2, 1)]).await.unwrap_err();
    assert!(format!("{refused:?}").contains("Full"), "{refused:?}");
    assert!(!is_active(&state, "2.0").await);
    assert!(is_active(&state, "1.1").await);
    let ends = [0, 1].map(|number| ended(event(number, 0), DAY));
    write_events(&state, &ends).await.unwrap();
    assert_eq!(
        state.shards.size().0,
        2 + 9,
        "the index remembers them for the longest grace"
    );
    advance(Duration::from_secs(3600)).await;
    write_events(&state, &[event(2, 5)]).await.unwrap();
    assert_eq!(state.shards.size().0, 14);
}

#[tokio::test(start_paused = true)]
async fn events_that_are_forgotten_make_room() {
    let state = bounded(16);
    for number in 0..14 {
        write_events(&state, &[ended(event(number, 9), DAY)])
            .await
            .unwrap();
    }
    write_events(&state, &[ended(event(14, 0), DAY)])
        .await
        .unwrap_err();
    advance(DAY).await;
    write_events(&state, &[event(14, 6)]).await.unwrap();
    assert_eq!(state.shards.size().0, 14);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_events_that_are_forgotten() {
    let state = bounded(4096);
    for number in 0..1000 {
        write_events(&state, &[event(number % 50, 1 + number % 3)])
            .await
            .unwrap();
    }
    let all: Vec<_> = (0..50).map(|n| ended(event(n, 3), DAY)).collect();
    write_events(&state, &all).await.unwrap();
    let entries = 1 + 2 * 50 * 3;
    assert!(state.shards.size().0 <= 50 + entries);
    advance(DAY).await;
    for _ in 0..200 {
        write_events(&state, &[ended(event(0, 0), Duration::ZERO)])
            .await
            .unwrap();
    }
    // The last one may be forgotten by its own write.
    assert!(state.shards.size().0 <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_tally_takes_at_most_200_bytes_however_busy_it_is() {
    // A number of keys at which every table has just grown and is as empty as possible.
    let state = MemoryState::default();
    let keys = 30_000;
    for part in 1..=17 {
        for first in (0..keys).step_by(1000) {
            count_actions(&state, first..first + 1000).await;
        }
        let (there, bytes) = state.shards.size();
        assert_eq!(there, keys);
        let most = if part <= 4 { 120 } else { 200 };
        assert!(bytes <= most * keys, "{} bytes a key", bytes / keys);
        advance(DAY / 16 - Duration::from_millis(1)).await;
    }
    assert!(count(&state, 0).await >= 16, "all parts are in use");
}

/// The log output.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
