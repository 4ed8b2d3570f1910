//! Implements the audit port with a table whose indexes have the order of a listing.

pub(crate) mod query;
mod record;

use std::path::Path;
use std::sync::Arc;

use acteon_core::Embedded;
use acteon_core::audit::{
    Audit, AuditContext, AuditCursor, AuditError, AuditPage, AuditQuery, AuditRecord, Audits,
};
use acteon_core::registry::{BuildError, Factory};
use acteon_core::scope::Scope;
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params_from_iter};

use self::query::{RecordSelection, newest_of};
use crate::config::SqliteAuditOptions;
use crate::error::Error;
use crate::files::SqliteFiles;
use crate::store::Store;
use crate::time::nanos_of;

/// The records that one transaction stores or deletes at most, so that other calls do not wait long.
const SLICE: usize = 250;

pub(crate) const PURGE: &str = "DELETE FROM audit WHERE rowid IN \
                     (SELECT rowid FROM audit WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";

/// The audit trail in a file.
pub struct SqliteAudit {
    store: Arc<Store>,
}

impl SqliteAudit {
    pub(crate) fn in_store(store: Arc<Store>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Audit for SqliteAudit {
    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        Some(self.store.clone())
    }

    async fn ping(&self) -> Result<(), AuditError> {
        Ok(self.store.probe().await?)
    }

    async fn append(&self, records: &[Arc<AuditRecord>]) -> Result<(), AuditError> {
        for slice in records.chunks(SLICE) {
            let slice = slice.to_vec();
            let write = move |connection: &Connection| record::insert(connection, &slice);
            self.store.write(write).await?;
        }
        Ok(())
    }

    async fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        let selection = RecordSelection::of(query);
        let start = query.start.clone();
        let limit = query.limit;
        let read = move |connection: &Connection| {
            let total = selection.count();
            let mut counting = connection.prepare_cached(&total.sql)?;
            let total = counting.query_row(params_from_iter(&total.values), |row| {
                row.get(0).map(i64::unsigned_abs)
            })?;
            let page = record::select(connection, &selection.page(&start, limit), limit)?;
            let last = page.items.last().filter(|_| page.has_more);
            Ok(AuditPage {
                next: last.map(|last| AuditCursor::of(last)),
                records: page.items,
                total,
            })
        };
        Ok(self.store.read(read).await?)
    }

    async fn newest_of(
        &self,
        scope: &Scope,
        action_id: &str,
    ) -> Result<Option<Arc<AuditRecord>>, AuditError> {
        let newest = newest_of(scope, action_id);
        let read = move |connection: &Connection| record::select(connection, &newest, 1);
        Ok(self.store.read(read).await?.items.pop())
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, AuditError> {
        let mut purged = 0;
        while purged < limit {
            let slice = SLICE.min(limit - purged);
            let write = move |connection: &Connection| purge(connection, now, slice);
            let deleted = self.store.write(write).await?;
            purged += deleted;
            if deleted < slice {
                break;
            }
        }
        Ok(purged)
    }
}

fn purge(connection: &Connection, now: Timestamp, limit: usize) -> Result<usize, Error> {
    let mut purge = connection.prepare_cached(PURGE)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(purge.execute((nanos_of(now), limit))?)
}

/// Builds [`SqliteAudit`] from `[audit]` with `backend = "sqlite"`.
pub struct SqliteAudits {
    files: SqliteFiles,
}

impl SqliteAudits {
    /// With the files that the state may share.
    pub fn new(files: SqliteFiles) -> Self {
        Self { files }
    }
}

#[async_trait]
impl Factory<Audits> for SqliteAudits {
    const KIND: &'static str = "sqlite";
    type Config = SqliteAuditOptions;

    async fn build(
        &self,
        config: SqliteAuditOptions,
        context: AuditContext,
    ) -> Result<Arc<dyn Audit>, BuildError> {
        let folder: &Path = &context.folder;
        let store = self.files.at(folder, &config.path, config.synchronous)?;
        Ok(Arc::new(SqliteAudit::in_store(store)))
    }
}
