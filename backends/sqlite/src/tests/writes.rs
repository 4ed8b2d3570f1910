//! What happens to calls that fail, and to the log while a reader holds on to an old snapshot.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use acteon_core::Embedded;
use acteon_core::audit::{Audit, AuditError, AuditQuery};
use acteon_core::scope::Scope;
use rusqlite::Connection;

use super::{Sqlite, large_record};
use crate::config::Synchronous;
use crate::error::Error;
use crate::store::Store;

async fn opened(sqlite: &Sqlite) -> Arc<Store> {
    let store = Store::at(sqlite.path(), Synchronous::Full);
    store.open().await.unwrap();
    Arc::new(store)
}

fn toggle(connection: &Connection, by: i64) -> Result<i64, Error> {
    connection.execute("UPDATE schema SET probed_at = probed_at + ?1", [by])?;
    Ok(by)
}

async fn probed_at(store: &Store) -> i64 {
    let read = |connection: &Connection| {
        let read = "SELECT probed_at FROM schema";
        Ok(connection.query_row(read, [], |row| row.get(0))?)
    };
    store.read(read).await.unwrap()
}

#[tokio::test]
async fn a_call_that_fails_by_itself_takes_back_its_own_writes_only() {
    let sqlite = Sqlite::default();
    let store = opened(&sqlite).await;
    let writes = |by: i64| {
        let store = store.clone();
        async move {
            let write = move |connection: &Connection| match toggle(connection, by)? {
                10 => Err(Error::Corrupt("ten".into())),
                by => Ok(by),
            };
            store.write(write).await.map_err(|error| error.to_string())
        }
    };
    let results = tokio::join!(writes(1), writes(10), writes(100));
    assert_eq!(results, (Ok(1), Err("ten".into()), Ok(100)));
    assert_eq!(probed_at(&store).await, 101);
}

#[tokio::test]
async fn a_call_that_panics_fails_with_its_transaction_and_later_ones_work() {
    let sqlite = Sqlite::default();
    let store = opened(&sqlite).await;
    let panics = |connection: &Connection| -> Result<i64, Error> {
        toggle(connection, 1)?;
        panic!("for the test")
    };
    assert!(store.write(panics).await.is_err());
    store
        .write(|connection| toggle(connection, 100))
        .await
        .unwrap();
    assert_eq!(probed_at(&store).await, 100);
}

#[tokio::test]
async fn a_call_whose_caller_is_gone_is_done_anyway() {
    let sqlite = Sqlite::default();
    let store = opened(&sqlite).await;
    let waiting = Box::pin(store.write(|connection| toggle(connection, 1)));
    assert!(waits(waiting).await);
    store
        .write(|connection| toggle(connection, 10))
        .await
        .unwrap();
    assert_eq!(probed_at(&store).await, 11);
}

/// Polls once, and drops the future if it waits.
async fn waits<T>(mut future: std::pin::Pin<Box<impl Future<Output = T>>>) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
    })
    .await
}

async fn total(audit: &dyn Audit) -> u64 {
    let all = AuditQuery::newest(Scope::everything(), 1);
    audit.query(&all).await.unwrap().total
}

#[tokio::test]
async fn a_file_that_may_not_grow_is_unavailable_until_it_may() {
    let sqlite = Sqlite::default();
    let store = opened(&sqlite).await;
    let audit = crate::SqliteAudit::in_store(store.clone());
    let limit = async |pages: i64| {
        let write = move |connection: &Connection| {
            Ok(connection.pragma_update(None, "max_page_count", pages)?)
        };
        store.write(write).await.unwrap();
    };
    audit.append(&[large_record(1, 10)]).await.unwrap();
    limit(1).await;
    let large = [large_record(2, 1_000_000)];
    let refused = audit.append(&large).await;
    assert!(
        matches!(refused, Err(AuditError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(total(&audit).await, 1, "it still answers");
    let ping = audit.ping().await;
    assert!(matches!(ping, Err(AuditError::Unavailable(_))), "{ping:?}");
    limit(1_000_000).await;
    audit.append(&large).await.unwrap();
    assert_eq!(total(&audit).await, 2);
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_unavailable_and_still_answers() {
    let sqlite = Sqlite::default();
    let store = opened(&sqlite).await;
    let audit = crate::SqliteAudit::in_store(store.clone());
    audit.append(&[large_record(1, 10)]).await.unwrap();
    let protect =
        |connection: &Connection| Ok(connection.pragma_update(None, "query_only", true)?);
    store.write(protect).await.unwrap();
    let refused = audit.append(&[large_record(2, 10)]).await;
    assert!(
        matches!(refused, Err(AuditError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(audit.ping().await.is_err());
    assert_eq!(total(&audit).await, 1);
}

fn log_bytes(path: &Path) -> u64 {
    let log = path.with_extension("db-wal");
    fs::metadata(log).unwrap().len()
}

#[tokio::test]
async fn the_log_grows_while_a_reader_holds_its_snapshot_and_shrinks_afterwards() {
    const LIMIT: u64 = 64 << 20;
    let sqlite = Sqlite::default();
    let audit = sqlite.open_audit().await;
    let reader = Connection::open(sqlite.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM schema").unwrap();
    let mut numbers = 0..;
    let mut write = async || {
        let records = numbers
            .by_ref()
            .take(100)
            .map(|n| large_record(n, 64 << 10));
        audit.append(&records.collect::<Vec<_>>()).await.unwrap();
    };
    while log_bytes(&sqlite.path()) <= LIMIT + (16 << 20) {
        write().await;
    }
    reader.execute_batch("COMMIT").unwrap();
    write().await;
    write().await;
    assert!(log_bytes(&sqlite.path()) <= LIMIT);
}
