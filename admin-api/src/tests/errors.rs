//! Errors of no single endpoint: the framework's refusals, unreachable backends, and bugs.

use std::sync::Arc;

use acteon_backends_memory::MemoryState;
use acteon_core::audit::{AuditError, AuditPage, AuditQuery};
use acteon_core::{Audit, AuditRecord, Scope};
use acteon_testkit::{Reach, UnreachableState};
use async_trait::async_trait;
use axum::http::StatusCode;
use jiff::Timestamp;

use super::World;
use super::samples::letter_id;

#[tokio::test(start_paused = true)]
async fn every_refusal_of_the_framework_is_json() {
    let world = World::new();
    let answers = [
        world.get("/v1/nothing").await,
        world.ask("DELETE", "/v1/rules", &[], "").await,
        world.ask("POST", "/v1/dead-letters", &[], "").await,
        world
            .ask("PUT", "/v1/rules/x/enabled", &[], r#"{"enabled":true}"#)
            .await,
        world
            .send("PUT", "/v1/rules/x/enabled", r#"{"enabled":"yes"}"#)
            .await,
        world.send("PUT", "/v1/rules/x/enabled", "{}").await,
        world.send("PUT", "/v1/rules/x/enabled", "").await,
        world.send("POST", "/v1/rules/reload", "{").await,
        world
            .send("POST", "/v1/rules/reload", r#"{"directory":7}"#)
            .await,
        world
            .send("POST", "/v1/rules/reload", &" ".repeat(10_001))
            .await,
    ];
    insta::assert_snapshot!(answers.map(|answer| answer.shown()).join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_backend_is_503_and_a_corrupt_one_is_500() {
    let state = UnreachableState::before(Arc::new(MemoryState::default()));
    state.set_reach(Reach::CutOff);
    let broken = |corrupt| {
        let state = state.clone();
        World::with(|ports| {
            ports.audit.as_mut().unwrap().backend = Arc::new(BrokenAudit { corrupt });
            ports.state = state;
        })
    };
    let (away, corrupt) = (broken(false), broken(true));
    let letter = format!("/v1/dead-letters/{}", letter_id(1));
    let answers = [
        away.get("/v1/audit").await,
        away.get("/v1/audit/a-1").await,
        away.get("/v1/dead-letters").await,
        away.get(&letter).await,
        away.ask("DELETE", &letter, &[], "").await,
        away.ask("POST", &format!("{letter}/replay"), &[], "").await,
        corrupt.get("/v1/audit").await,
    ];
    let seen = answers.map(|answer| answer.shown()).join("\n");
    assert!(!seen.contains("hunter2"), "causes are for the log");
    insta::assert_snapshot!(seen);
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_record_cannot_be_written_is_made_and_reports_it() {
    let world = World::new();
    world.trail.refuse();
    let answer = world
        .send(
            "PUT",
            "/v1/rules/mute-tests/enabled",
            r#"{"enabled":false}"#,
        )
        .await;
    insta::assert_snapshot!(answer.shown());
    assert_eq!(world.rulebook.toggles.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_panics_is_an_error_of_ours_and_the_next_one_works() {
    let world = World::new();
    let reload = std::mem::replace(
        &mut *world.rulebook.on_reload.lock(),
        Box::new(|_| panic!("the secret is 42")),
    );
    let answer = world.ask("POST", "/v1/rules/reload", &[], "").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        answer.json()["message"],
        "internal error: see the log of the server, request r-1"
    );
    *world.rulebook.on_reload.lock() = reload;
    let answer = world.ask("POST", "/v1/rules/reload", &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

struct BrokenAudit {
    corrupt: bool,
}

impl BrokenAudit {
    fn error(&self) -> AuditError {
        if self.corrupt {
            AuditError::Corrupt("password=hunter2".into())
        } else {
            AuditError::Unavailable("postgres://u:hunter2@db".into())
        }
    }
}

#[async_trait]
impl Audit for BrokenAudit {
    async fn ping(&self) -> Result<(), AuditError> {
        Err(self.error())
    }

    async fn append(&self, _: &[Arc<AuditRecord>]) -> Result<(), AuditError> {
        Err(self.error())
    }

    async fn query(&self, _: &AuditQuery) -> Result<AuditPage, AuditError> {
        Err(self.error())
    }

    async fn newest_of(&self, _: &Scope, _: &str) -> Result<Option<Arc<AuditRecord>>, AuditError> {
        Err(self.error())
    }

    async fn purge(&self, _: Timestamp, _: usize) -> Result<usize, AuditError> {
        Err(self.error())
    }
}
