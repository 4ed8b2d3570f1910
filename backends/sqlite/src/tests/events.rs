//! The room that events take, how they are forgotten, and how pages of them are found.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, EventCursor, EventFilter, EventId, EventPhase,
    EventQuery, EventValue, EventWrite, GRACE_MAX, Question, ReservationAnswer, State,
    StateContext, StateKey, Token,
};
use acteon_testkit::{Event, reserving, write_events};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use tokio::time::advance;

use super::Sqlite;
use super::bounds::{kept, rows, with_keys};
use super::plans::plan;
use crate::state::events_page;

const DAY: Duration = Duration::from_secs(24 * 3600);
const LEASE: Duration = Duration::from_secs(10);

/// An active event with this many values.
fn event(number: u32, values: u32) -> Event {
    Event {
        namespace: "ns".into(),
        tenant: "t1".into(),
        fingerprint: number.to_string().into(),
        event_type: "outage".into(),
        state: "open".into(),
        phase: EventPhase::Active,
        values: (0..values)
            .map(|value| format!("{number}.{value}").into())
            .collect(),
    }
}

fn ended(event: Event) -> Event {
    Event {
        phase: EventPhase::Ended(DAY),
        ..event
    }
}

fn due(event: &Event, expected: u64) -> EventWrite {
    EventWrite {
        due_in: Some(Duration::ZERO),
        ..event.write(expected)
    }
}

async fn is_active(state: &dyn State, value: &str, grace: Duration) -> bool {
    let question = Question::ActiveEvent(ActiveEventQuestion {
        event_type: StateKey::new("ns", "t1", "", "outage"),
        carrying: Carrying::Value(value.into()),
        grace,
    });
    state.gather(&[question]).await.unwrap().answers == [Answer::ActiveEvent(true)]
}

async fn opened() -> (Sqlite, Arc<dyn State>) {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 1 << 20).await;
    (sqlite, state)
}

/// The rows of a table, counted.
fn count(sqlite: &Sqlite, table: &str) -> i64 {
    let file = Connection::open(sqlite.path()).unwrap();
    let count = format!("SELECT count(*) FROM {table}");
    file.query_row(&count, [], |row| row.get(0)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_events_are_refused_and_can_still_end() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 16).await;
    // An event with two values takes six keys: itself, its type, and each value twice.
    let first = [event(0, 2), event(1, 2)];
    write_events(&*state, &first).await.unwrap();
    assert_eq!((kept(&*state).await, rows(&sqlite)), (12, 12));
    let refused = write_events(&*state, &[event(2, 1)]).await.unwrap_err();
    assert!(format!("{refused:?}").contains("Full"), "{refused:?}");
    assert_eq!(rows(&sqlite), 12);
    let ends = first.map(ended);
    write_events(&*state, &ends).await.unwrap();
    // The entry of the type is one for both.
    assert_eq!((kept(&*state).await, rows(&sqlite)), (11, 11));
    advance(GRACE_MAX).await;
    write_events(&*state, &[event(2, 5)]).await.unwrap();
    assert_eq!((kept(&*state).await, rows(&sqlite)), (14, 14));
}

#[tokio::test(start_paused = true)]
async fn events_leave_the_last_eighth_to_reservations() {
    let sqlite = Sqlite::default();
    let state = with_keys(&sqlite, 80).await;
    let mut written = 0;
    for number in 0..80 {
        let write = ended(event(number, 0)).write(0);
        let answers = state.reserve(&[reserving(write)], LEASE).await.unwrap();
        written += u64::from(matches!(answers[0], ReservationAnswer::Granted(_)));
    }
    assert_eq!((written, kept(&*state).await), (70, 70));
}

#[tokio::test(start_paused = true)]
async fn of_events_that_are_forgotten_nothing_is_left() {
    let (sqlite, state) = opened().await;
    for number in 0..200 {
        let asked = [reserving(due(
            &event(number % 50, 1 + number % 3),
            u64::from(number / 50),
        ))];
        let answers = state.reserve(&asked, LEASE).await.unwrap();
        assert!(matches!(answers[0], ReservationAnswer::Granted(_)));
        assert_eq!(kept(&*state).await, rows(&sqlite));
    }
    let ends: Vec<_> = (0..50)
        .map(|number| reserving(due(&ended(event(number, 3)), 4)))
        .collect();
    state.reserve(&ends, LEASE).await.unwrap();
    assert_eq!(kept(&*state).await, rows(&sqlite));
    assert_eq!(count(&sqlite, "event_entries"), 0);
    assert_eq!(count(&sqlite, "timers"), 50);
    advance(DAY).await;
    for number in 50..150 {
        write_events(&*state, &[event(number, 1)]).await.unwrap();
        write_events(&*state, &[ended(event(number, 1))])
            .await
            .unwrap();
        advance(DAY).await;
    }
    assert_eq!(kept(&*state).await, rows(&sqlite));
    assert!(rows(&sqlite) < 20, "{} rows are left", rows(&sqlite));
    assert_eq!(count(&sqlite, "timers"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_timer_of_a_forgotten_event_is_not_due() {
    let (sqlite, state) = opened().await;
    let over = Event {
        phase: EventPhase::Ended(LEASE),
        ..event(0, 0)
    };
    let asked = [over, event(1, 0), event(2, 0)].map(|event| reserving(due(&event, 0)));
    state.reserve(&asked, LEASE).await.unwrap();
    advance(LEASE).await;
    let work = state.take_due(2, LEASE, Token::random()).await.unwrap();
    let taken: Vec<_> = work.events.iter().map(|e| &*e.event.fingerprint).collect();
    assert_eq!(taken, ["1", "2"], "its place is given to another");
    assert_eq!(count(&sqlite, "timers"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_end_counts_for_its_grace_after_a_restart() {
    let (sqlite, state) = opened().await;
    write_events(&*state, &[event(0, 1)]).await.unwrap();
    write_events(&*state, &[ended(event(0, 1))]).await.unwrap();
    state.embedded().unwrap().close().await;
    let state = sqlite.open_state(json!({}), StateContext::default()).await;
    advance(GRACE_MAX / 2).await;
    assert!(is_active(&*state, "0.0", GRACE_MAX).await);
    assert!(!is_active(&*state, "0.0", GRACE_MAX / 2).await);
    assert!(!is_active(&*state, "0.0", Duration::ZERO).await);
}

/// The position after one of many events.
fn middle() -> EventCursor {
    EventCursor {
        updated_at: Timestamp::UNIX_EPOCH,
        event: EventId {
            namespace: "ns".into(),
            tenant: "t1".into(),
            fingerprint: "5".into(),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_events_are_found_by_their_indexes_in_the_order_of_the_listing() {
    let (sqlite, _state) = opened().await;
    let file = Connection::open(sqlite.path()).unwrap();
    let page = |change: &dyn Fn(&mut EventFilter)| {
        let mut filter = EventFilter::default();
        change(&mut filter);
        let query = EventQuery {
            scope: Scope::everything(),
            filter,
            after: Some(middle()),
            limit: 50,
        };
        plan(&file, &events_page(&query, 0))
    };
    let search = |by: &str| vec![format!("SEARCH events USING INDEX {by}")];
    let newest = "events_newest ((newest,namespace,tenant,fingerprint)>(?,?,?,?))";
    assert_eq!(page(&|_| {}), search(newest));
    assert_eq!(
        page(&|filter| filter.state = Some("open".into())),
        search(newest)
    );
    assert_eq!(
        page(&|filter| filter.namespace = Some("ns".into())),
        search("events_namespace (namespace=? AND newest>?)")
    );
    assert_eq!(
        page(&|filter| filter.tenant = Some("t1".into())),
        search("events_tenant (tenant=? AND (newest,namespace)>(?,?))")
    );
}

#[tokio::test(start_paused = true)]
async fn values_are_found_whatever_they_contain() {
    let (_sqlite, state) = opened().await;
    let texts = [
        "",
        "a\"b",
        "a\\b",
        "[\"a\",\"b\"]",
        "é\n",
        "'; --",
        "null",
        "1",
    ];
    for (number, text) in (0..).zip(texts) {
        let labelled = Event {
            values: vec![text.into()],
            ..event(number, 0)
        };
        write_events(&*state, &[labelled]).await.unwrap();
    }
    for text in texts {
        let query = EventQuery {
            scope: Scope::everything(),
            filter: EventFilter {
                values: vec![EventValue {
                    name: "label 0".into(),
                    value: text.into(),
                }],
                ..EventFilter::default()
            },
            after: None,
            limit: 50,
        };
        let page = state.events(&query).await.unwrap();
        assert_eq!(page.events.len(), 1, "{text}");
        assert_eq!(page.events[0].record.values, query.filter.values);
    }
}
