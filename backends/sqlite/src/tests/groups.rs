//! The bound on groups, how closed ones are forgotten, and how pages of them and what is due are found.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    GroupAppend, GroupEnd, GroupFinish, GroupKey, GroupMember, GroupQuery, GroupTerms, GroupTiming,
    HeldGroup, Reservation, ReservationAnswer, State, StateContext, Step, Token,
};
use bytes::Bytes;
use rusqlite::Connection;
use serde_json::json;
use tokio::time::advance;

use super::Sqlite;
use super::plans::plan;
use crate::conditions::Statement;
use crate::state::{DUE, page_of};

const LEASE: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(1);
const KEPT: Duration = Duration::from_secs(600);
/// The tables that have rows for each group.
const TABLES: [&str; 5] = ["groups", "group_keys", "members", "joined", "timers"];

/// Member `number` of a key, with a body of 100 bytes.
fn joining(key: &str, number: u32) -> Reservation {
    let append = GroupAppend {
        key: GroupKey {
            namespace: "ns".into(),
            tenant: "t1".into(),
            rule: "rule".into(),
            key: key.into(),
        },
        new_id: format!("{key}-{number:05}").into(),
        terms: GroupTerms {
            timing: GroupTiming::Waits {
                wait: WAIT,
                interval: WAIT,
            },
            size_max: 1000,
            settings: Bytes::from_static(b"settings"),
        },
        member: GroupMember {
            id: format!("m{number:05}").into(),
            body: vec![7; 100].into(),
        },
    };
    Reservation {
        token: Token::random(),
        step: Some(Step::Append(Box::new(append))),
        ..Reservation::default()
    }
}

async fn with_bytes(sqlite: &Sqlite, max_group_bytes: u64) -> Arc<dyn State> {
    let options = json!({"synchronous": "normal", "max_group_bytes": max_group_bytes});
    let context = StateContext {
        closed_groups: KEPT,
        ..StateContext::default()
    };
    sqlite.open_state(options, context).await
}

/// How many of these members join.
async fn joined(state: &dyn State, asked: &[Reservation]) -> usize {
    let answers = state.reserve(asked, LEASE).await.unwrap();
    let is_granted = |answer: &&ReservationAnswer| matches!(answer, ReservationAnswer::Granted(_));
    answers.iter().filter(is_granted).count()
}

/// Takes and closes all that is due.
async fn flush(state: &dyn State) -> usize {
    let token = Token::random();
    let due = state.take_due(1000, LEASE, token).await.unwrap().groups;
    let finished = due.into_iter().map(|group| GroupFinish {
        held: HeldGroup {
            name: group.name,
            token,
        },
        end: GroupEnd::Notified,
    });
    let finished: Vec<_> = finished.collect();
    let ended = state.finish_groups(&finished).await.unwrap();
    assert!(ended.iter().all(|ended| *ended));
    ended.len()
}

fn number(sqlite: &Sqlite, query: &str) -> i64 {
    let file = Connection::open(sqlite.path()).unwrap();
    file.query_row(query, [], |row| row.get(0)).unwrap()
}

fn rows(sqlite: &Sqlite) -> [i64; 5] {
    TABLES.map(|table| number(sqlite, &format!("SELECT count(*) FROM {table}")))
}

/// The counted bytes, and the sum over the groups.
fn bytes(sqlite: &Sqlite) -> [i64; 2] {
    let counted = "SELECT bytes FROM levels WHERE name = 'groups'";
    let summed = "SELECT coalesce(sum(bytes), 0) FROM groups";
    [counted, summed].map(|query| number(sqlite, query))
}

#[tokio::test(start_paused = true)]
async fn at_their_bound_members_are_refused_until_groups_are_closed_and_forgotten() {
    let sqlite = Sqlite::default();
    let state = with_bytes(&sqlite, 20_000).await;
    let asked: Vec<_> = (0..200).map(|number| joining("k", number)).collect();
    let first = joined(&*state, &asked).await;
    assert!((80..110).contains(&first), "{first} have joined");
    assert_eq!(joined(&*state, &asked[..first]).await, first, "again");
    let [counted, summed] = bytes(&sqlite);
    assert_eq!(counted, summed);
    advance(WAIT).await;
    assert_eq!(flush(&*state).await, 1);
    let [counted, summed] = bytes(&sqlite);
    assert_eq!(counted, summed);
    let second = joined(&*state, &asked[first..]).await;
    assert!(second < first, "the ids of {first} members are known");
    advance(KEPT).await;
    assert_eq!(flush(&*state).await, 1);
    let third: Vec<_> = (0..first as u32)
        .map(|number| joining("other", number))
        .collect();
    assert!(joined(&*state, &third).await > second);
}

#[tokio::test(start_paused = true)]
async fn closed_groups_leave_nothing_behind_once_they_are_forgotten() {
    let sqlite = Sqlite::default();
    let state = with_bytes(&sqlite, 1 << 30).await;
    for key in ["a", "b", "c"] {
        let asked: Vec<_> = (0..900).map(|number| joining(key, number)).collect();
        assert_eq!(joined(&*state, &asked).await, 900);
    }
    assert_eq!(rows(&sqlite), [3, 3, 2700, 2700, 3]);
    advance(WAIT).await;
    assert_eq!(flush(&*state).await, 3);
    assert_eq!(rows(&sqlite), [3, 3, 0, 2700, 0]);
    advance(KEPT).await;
    let mut slices = Vec::new();
    while rows(&sqlite)[0] > 0 {
        let before = rows(&sqlite)[3];
        assert_eq!(flush(&*state).await, 0);
        slices.push(before - rows(&sqlite)[3]);
    }
    assert!(slices.iter().all(|slice| *slice <= 1024), "{slices:?}");
    assert_eq!(rows(&sqlite), [0; 5]);
    assert_eq!(bytes(&sqlite), [0, 0]);
}

/// Also where a key rests for longer than its groups are kept.
#[tokio::test(start_paused = true)]
async fn a_group_is_kept_while_its_key_rests() {
    let sqlite = Sqlite::default();
    let state = with_bytes(&sqlite, 1 << 30).await;
    let mut asked = joining("k", 0);
    let Some(Step::Append(append)) = &mut asked.step else {
        panic!("a member");
    };
    append.terms.timing = GroupTiming::Waits {
        wait: WAIT,
        interval: 2 * KEPT,
    };
    assert_eq!(joined(&*state, &[asked]).await, 1);
    advance(WAIT).await;
    assert_eq!(flush(&*state).await, 1);
    advance(KEPT + WAIT).await;
    assert_eq!(joined(&*state, &[joining("k", 1)]).await, 1);
    let next = state.next_due().await.unwrap().unwrap();
    assert!(next > KEPT / 2, "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn pages_of_groups_and_what_is_due_are_found_by_their_indexes() {
    let sqlite = Sqlite::default();
    with_bytes(&sqlite, 1 << 30).await;
    let file = Connection::open(sqlite.path()).unwrap();
    let page = |namespace: Option<&str>, tenant: Option<&str>| {
        let query = GroupQuery {
            scope: Scope::everything(),
            namespace: namespace.map(Into::into),
            tenant: tenant.map(Into::into),
            after: Some("id".into()),
            limit: 50,
        };
        plan(&file, &page_of(&query, 0))
    };
    let search = |by: &str| vec![format!("SEARCH groups USING INDEX {by}")];
    assert_eq!(page(None, None), search("groups_id (id<?)"));
    assert_eq!(
        page(Some("ns"), None),
        search("groups_namespace (namespace=? AND id<?)")
    );
    assert_eq!(
        page(Some("ns"), Some("t1")),
        search("groups_tenant (tenant=? AND id<?)")
    );
    let due = Statement {
        sql: DUE.into(),
        values: vec![0.into(), 10.into()],
    };
    assert_eq!(
        plan(&file, &due),
        ["SEARCH timers USING INDEX timers_due (due<?)"]
    );
}
