//! How pages of silences are found, and what is left of silences that ended.

use std::sync::Arc;

use acteon_core::scope::Scope;
use acteon_core::silence::{Silence, SilencePhase};
use acteon_core::state::{
    EXPIRED_SILENCE_TTL, SilenceAnswer, SilenceQuery, SilenceWrite, State, StateContext,
};
use acteon_testkit::{epoch, silence};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use tokio::time::advance;

use super::Sqlite;
use super::plans::plan;
use crate::state::silences_page;

async fn opened() -> (Sqlite, Arc<dyn State>) {
    let sqlite = Sqlite::default();
    let options = json!({"synchronous": "normal"});
    let state = sqlite.open_state(options, StateContext::default()).await;
    (sqlite, state)
}

async fn write(state: &dyn State, silence: Silence, expected: u64) {
    let write = SilenceWrite {
        silence,
        expected,
        live_max: 10_000,
    };
    let answer = state.write_silence(&write).await.unwrap();
    assert_eq!(answer, SilenceAnswer::Written(expected + 1));
}

fn everything() -> SilenceQuery {
    SilenceQuery {
        scope: Scope::everything(),
        namespace: None,
        tenant: None,
        phase: None,
        after: Some(silence(5).id),
        limit: 50,
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_silences_are_found_by_their_indexes_in_the_order_of_the_listing() {
    let (sqlite, _state) = opened().await;
    let file = Connection::open(sqlite.path()).unwrap();
    let page = |change: &dyn Fn(&mut SilenceQuery)| {
        let mut query = everything();
        change(&mut query);
        plan(&file, &silences_page(&query, 0))
    };
    let by_id = ["SEARCH silences USING INDEX sqlite_autoindex_silences_1 (id<?)"];
    assert_eq!(page(&|_| {}), by_id);
    let active = |query: &mut SilenceQuery| query.phase = Some(SilencePhase::Active);
    assert_eq!(page(&active), by_id);
    let merged = |column: &str| {
        let search = format!("SEARCH silences USING INDEX silences_{column} ({column}=? AND id<?)");
        ["MERGE (UNION ALL)", "LEFT", &search, "RIGHT", &search].map(str::to_owned)
    };
    let namespace = |query: &mut SilenceQuery| query.namespace = Some("ns".into());
    assert_eq!(page(&namespace), merged("namespace"));
    let both = |query: &mut SilenceQuery| {
        query.namespace = Some("ns".into());
        query.tenant = Some("t1".into());
    };
    assert_eq!(page(&both), merged("tenant"));
    let every = |query: &mut SilenceQuery| query.tenant = Some("*".into());
    assert_eq!(page(&every), merged("tenant")[2..3]);
}

/// The statements of a write name their indexes, so that they fail without them.
#[tokio::test(start_paused = true)]
async fn thousands_of_silences_are_written_read_and_forgotten() {
    const COUNT: u32 = 2_000;
    const FINISHED: u32 = 500;
    let (sqlite, state) = opened().await;
    for number in 0..COUNT {
        write(&*state, silence(number), 0).await;
    }
    let live = state.live_silences(None).await.unwrap();
    assert_eq!(live.silences.unwrap().len(), COUNT as usize);
    assert_eq!(live.revision, u64::from(COUNT));
    let page = state.silences(&everything()).await.unwrap();
    assert_eq!(page.silences.len(), 5);
    for number in 0..FINISHED {
        let finished = Silence {
            is_finished: true,
            ends_at: epoch(),
            ..silence(number)
        };
        write(&*state, finished, 1).await;
    }
    advance(EXPIRED_SILENCE_TTL).await;
    for number in COUNT..COUNT + 20 {
        write(&*state, silence(number), 0).await;
    }
    let file = Connection::open(sqlite.path()).unwrap();
    let rows = "SELECT count(*) FROM silences";
    let rows: u32 = file.query_row(rows, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, COUNT - FINISHED + 20, "the unfinished ones are left");
}

/// The nearest times in range decide, and the silence itself is as it was written.
#[tokio::test(start_paused = true)]
async fn a_silence_until_the_end_of_time_is_active() {
    let (_sqlite, state) = opened().await;
    let endless = Silence {
        starts_at: Timestamp::MIN,
        ends_at: Timestamp::MAX,
        ..silence(1)
    };
    write(&*state, endless.clone(), 0).await;
    let query = SilenceQuery {
        phase: Some(SilencePhase::Active),
        after: None,
        ..everything()
    };
    let page = state.silences(&query).await.unwrap();
    assert_eq!(page.silences[0].silence, endless);
}
