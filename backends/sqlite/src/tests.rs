use std::path::{Path, PathBuf};
use std::sync::Arc;

use acteon_core::audit::{Audit, AuditContext, Audits};
use acteon_core::registry::{BuildError, Registry};
use acteon_testkit::contract::Pace;
use acteon_testkit::contract::audit::AuditHarness;
use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{SqliteAudits, SqliteFiles};

mod backups;
mod files;
mod plans;
mod writes;

/// A folder with the file of one test.
struct Sqlite {
    folder: TempDir,
    audit: OnceCell<Arc<dyn Audit>>,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            audit: OnceCell::new(),
        }
    }
}

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.folder.path().join("acteon.db")
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

mod audit_contract {
    use super::Sqlite;

    acteon_testkit::audit_contract!(Sqlite::default());
}
