use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acteon_core::Clock;
use acteon_core::action::Payload;
use acteon_core::audit::{Audit, AuditContext, AuditRecord, Audits};
use acteon_core::registry::{BuildError, Registry};
use acteon_core::state::{State, StateContext, States};
use acteon_testkit::contract::Pace;
use acteon_testkit::contract::audit::AuditHarness;
use acteon_testkit::contract::state::StateHarness;
use acteon_testkit::{audit_record, epoch};
use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{SqliteAudits, SqliteFiles, SqliteStates};

mod backups;
mod bounds;
mod events;
mod files;
mod groups;
mod plans;
mod silences;
mod writes;

/// A folder with the file of one test.
struct Sqlite {
    folder: TempDir,
    audit: OnceCell<Arc<dyn Audit>>,
    state: OnceCell<Arc<dyn State>>,
    /// Made inside of the runtime whose time it uses.
    clock: OnceLock<Clock>,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            audit: OnceCell::new(),
            state: OnceCell::new(),
            clock: OnceLock::new(),
        }
    }
}

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.folder.path().join("acteon.db")
    }

    fn clock(&self) -> Clock {
        *self.clock.get_or_init(|| Clock::starting_at(epoch()))
    }

    /// State in a file of the folder, open.
    async fn open_state(&self, options: Value, context: StateContext) -> Arc<dyn State> {
        let context = StateContext {
            clock: self.clock(),
            folder: self.folder.path().to_owned(),
            ..context
        };
        let mut states = Registry::<States>::default();
        states.register(SqliteStates::new(SqliteFiles::default()));
        let plan = states.plan("sqlite", options).unwrap();
        let state = plan.build(context).await.unwrap();
        state.embedded().unwrap().open().await.unwrap();
        state
    }

    /// The audit trail in the file, open.
    async fn open_audit(&self) -> Arc<dyn Audit> {
        let audit = built(self.folder.path(), json!({})).await.unwrap();
        open(&*audit).await.unwrap();
        audit
    }
}

/// An audit trail with these options, as another server builds it.
async fn built(folder: &Path, options: Value) -> Result<Arc<dyn Audit>, BuildError> {
    let mut audits = Registry::<Audits>::default();
    audits.register(SqliteAudits::new(SqliteFiles::default()));
    let folder = folder.to_owned();
    let plan = audits.plan("sqlite", options).unwrap();
    plan.build(AuditContext { folder }).await
}

/// A record with a payload of about this many bytes.
fn large_record(number: u32, bytes: usize) -> Arc<AuditRecord> {
    let mut record = audit_record(number);
    record.payload = Some(Payload::from_value(&"x".repeat(bytes)).unwrap());
    Arc::new(record)
}

async fn open(audit: &dyn Audit) -> Result<(), BuildError> {
    audit.embedded().unwrap().open().await
}

async fn close(audit: &dyn Audit) {
    audit.embedded().unwrap().close().await;
}

#[async_trait]
impl AuditHarness for Sqlite {
    const PACE: Pace = Pace::Virtual;

    async fn audit(&self) -> Arc<dyn Audit> {
        self.audit.get_or_init(|| self.open_audit()).await.clone()
    }
}

/// No test pulls the plug.
fn quickly() -> Value {
    json!({"synchronous": "normal"})
}

#[async_trait]
impl StateHarness for Sqlite {
    const PACE: Pace = Pace::Virtual;
    const UNIT: Duration = Duration::from_secs(1);

    async fn state(&self) -> Arc<dyn State> {
        let open = || self.open_state(quickly(), StateContext::default());
        self.state.get_or_init(open).await.clone()
    }

    async fn reopened(&self) -> Arc<dyn State> {
        self.state().await.embedded().unwrap().close().await;
        self.open_state(quickly(), StateContext::default()).await
    }

    async fn keeping(&self, context: StateContext) -> Arc<dyn State> {
        let options = json!({"path": "keeping.db", "synchronous": "normal"});
        self.open_state(options, context).await
    }

    async fn remembering(&self, outcomes_max: usize) -> Arc<dyn State> {
        let options = json!({
            "path": "remembering.db",
            "synchronous": "normal",
            "max_keys": 4 * outcomes_max,
            "max_remembered": outcomes_max,
        });
        self.open_state(options, StateContext::default()).await
    }
}

mod state_contract {
    use super::Sqlite;

    acteon_testkit::state_contract!(Sqlite::default());
}

mod audit_contract {
    use super::Sqlite;

    acteon_testkit::audit_contract!(Sqlite::default());
}
