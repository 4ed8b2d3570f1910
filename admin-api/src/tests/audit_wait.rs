//! Waiting for the record of an action that is not written yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use acteon_backends_memory::MemoryAudit;
use acteon_core::audit::{AuditError, AuditPage, AuditQuery};
use acteon_core::{Audit, AuditRecord, Scope};
use async_trait::async_trait;
use axum::http::StatusCode;
use jiff::Timestamp;
use tokio::join;
use tokio::time::{Instant, sleep};

use super::World;
use super::samples::record;

/// A backend that counts the queries for the record of an action.
#[derive(Default)]
struct CountedAudit {
    backend: MemoryAudit,
    asked: AtomicUsize,
}

#[async_trait]
impl Audit for CountedAudit {
    async fn ping(&self) -> Result<(), AuditError> {
        self.backend.ping().await
    }

    async fn append(&self, records: &[Arc<AuditRecord>]) -> Result<(), AuditError> {
        self.backend.append(records).await
    }

    async fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        self.backend.query(query).await
    }

    async fn newest_of(
        &self,
        scope: &Scope,
        action_id: &str,
    ) -> Result<Option<Arc<AuditRecord>>, AuditError> {
        self.asked.fetch_add(1, SeqCst);
        self.backend.newest_of(scope, action_id).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, AuditError> {
        self.backend.purge(now, limit).await
    }
}

fn world() -> (World, Arc<CountedAudit>) {
    let audit = Arc::new(CountedAudit::default());
    let world = World::with(|ports| ports.audit.as_mut().unwrap().backend = audit.clone());
    (world, audit)
}

async fn after<T>(millis: u64, act: impl Future<Output = T>) -> T {
    sleep(Duration::from_millis(millis)).await;
    act.await
}

#[tokio::test(start_paused = true)]
async fn a_question_that_waits_is_answered_as_soon_as_the_record_is_written() {
    let (world, audit) = world();
    let begun = Instant::now();
    let write = async {
        let records: Vec<_> = (0..100).map(|n| Arc::new(record(n, 0))).collect();
        for one in &records {
            audit.append(std::slice::from_ref(one)).await.unwrap();
            world.written.announce(std::slice::from_ref(one));
        }
    };
    let (answer, ()) = join!(world.get("/v1/audit/a-50?wait_ms=10000"), after(700, write));
    assert_eq!(answer.json()["action_id"], "a-50");
    assert_eq!(begun.elapsed(), Duration::from_millis(700));
    let asked = audit.asked.load(SeqCst);
    assert_eq!(asked, 2, "records of other actions cause no query");
}

#[tokio::test(start_paused = true)]
async fn what_another_instance_has_written_is_found_within_a_second() {
    let (world, audit) = world();
    let begun = Instant::now();
    let records = [Arc::new(record(1, 0))];
    let (answer, written) = join!(
        world.get("/v1/audit/a-1?wait_ms=10000"),
        after(2500, audit.append(&records))
    );
    written.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(audit.asked.load(SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_there_is_no_record_and_without_waiting_at_once() {
    let (world, audit) = world();
    for (query, millis, asked) in [("", 0, 1), ("?wait_ms=0", 0, 1), ("?wait_ms=2500", 2500, 4)] {
        let begun = Instant::now();
        audit.asked.store(0, SeqCst);
        let answer = world.get(&format!("/v1/audit/a-1{query}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json()["code"], "AUDIT_RECORD_NOT_FOUND");
        assert_eq!(begun.elapsed(), Duration::from_millis(millis), "{query}");
        assert_eq!(audit.asked.load(SeqCst), asked, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stops_waits_for_no_record() {
    let (world, _) = world();
    let begun = Instant::now();
    let (answer, ()) = join!(
        world.get("/v1/audit/a-1?wait_ms=10000"),
        after(300, async { world.stop.cancel() })
    );
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_more_than_ten_seconds_is_refused() {
    let (world, _) = world();
    for (query, parameter) in [
        ("wait_ms=10001", "`wait_ms`: must be from 0 to 10000"),
        ("wait_ms=-1", "wait_ms"),
        ("wait=5", "wait"),
    ] {
        let answer = world.get(&format!("/v1/audit/a-1?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(parameter), "{message}");
    }
}
