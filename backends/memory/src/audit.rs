//! Implements the audit port with an ordered map of the newest records.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use acteon_core::audit::{
    Audit, AuditCursor, AuditError, AuditPage, AuditQuery, AuditRecord, Audits, PageStart,
};
use acteon_core::registry::{BuildError, Factory};
use acteon_core::scope::Scope;
use async_trait::async_trait;
use hashbrown::HashSet;
use jiff::Timestamp;
use parking_lot::RwLock;
use uuid::Uuid;

use crate::config::AuditConfig;
use crate::events;

/// The number of records visited before writers and other tasks get a turn.
const SLICE: usize = 2048;

/// The newest records, in the memory of this process.
pub struct MemoryAudit {
    kept: RwLock<Kept>,
    max_records: usize,
}

/// Records in listing order, oldest first, and their ids.
#[derive(Default)]
struct Kept {
    records: BTreeMap<AuditCursor, Arc<AuditRecord>>,
    ids: HashSet<Uuid>,
}

impl MemoryAudit {
    /// An empty trail with this bound.
    pub fn new(config: &AuditConfig) -> Self {
        Self {
            kept: RwLock::default(),
            max_records: config.max_records.get(),
        }
    }

    /// Passes all records below `from` to `look`, newest first, until `look` has seen enough.
    async fn walk(
        &self,
        from: Bound<AuditCursor>,
        mut look: impl FnMut(&Arc<AuditRecord>) -> Walk,
    ) {
        let mut below = from;
        loop {
            let last = self.kept.read().walk_slice(below, &mut look);
            match last {
                Some(cursor) => below = Bound::Excluded(cursor),
                None => return,
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Whether to continue the walk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    On,
    Enough,
}

impl Default for MemoryAudit {
    fn default() -> Self {
        Self::new(&AuditConfig::default())
    }
}

#[async_trait]
impl Audit for MemoryAudit {
    async fn ping(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn append(&self, records: &[Arc<AuditRecord>]) -> Result<(), AuditError> {
        let evicted = self.kept.write().append(records, self.max_records);
        events::records_evicted(evicted.len());
        Ok(())
    }

    async fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        let mut page = AuditPage::default();
        let mut more = false;
        let newest = query
            .filter
            .to
            .map_or(Bound::Unbounded, |to| Bound::Excluded(first_of(to)));
        self.walk(newest, |record| {
            if query
                .filter
                .from
                .is_some_and(|from| record.dispatched_at < from)
            {
                return Walk::Enough;
            }
            if query.matches(record) {
                let on_page = match &query.start {
                    PageStart::Offset(offset) => page.total >= *offset,
                    PageStart::After(cursor) => AuditCursor::of(record) < *cursor,
                };
                page.total += 1;
                if on_page && page.records.len() < query.limit {
                    page.records.push(record.clone());
                } else if on_page {
                    more = true;
                }
            }
            Walk::On
        })
        .await;
        page.next = page
            .records
            .last()
            .filter(|_| more)
            .map(|last| AuditCursor::of(last));
        Ok(page)
    }

    async fn newest_of(
        &self,
        scope: &Scope,
        action_id: &str,
    ) -> Result<Option<Arc<AuditRecord>>, AuditError> {
        let mut found = None;
        self.walk(Bound::Unbounded, |record| {
            let subject = &record.subject;
            if subject.action_id == action_id && subject.is_inside(scope) {
                found = Some(record.clone());
                return Walk::Enough;
            }
            Walk::On
        })
        .await;
        Ok(found)
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, AuditError> {
        let mut expired = Vec::new();
        self.walk(Bound::Unbounded, |record| {
            if expired.len() == limit {
                return Walk::Enough;
            }
            if record.expires_at.is_some_and(|at| at < now) {
                expired.push(AuditCursor::of(record));
            }
            Walk::On
        })
        .await;
        let mut kept = self.kept.write();
        let gone: Vec<_> = expired
            .iter()
            .filter_map(|cursor| kept.remove(*cursor))
            .collect();
        drop(kept);
        Ok(gone.len())
    }
}

impl Kept {
    /// Stores new records and returns the evicted ones.
    fn append(&mut self, records: &[Arc<AuditRecord>], max: usize) -> Vec<Arc<AuditRecord>> {
        for record in records {
            if self.ids.insert(record.id) {
                self.records.insert(AuditCursor::of(record), record.clone());
            }
        }
        let too_many = self.records.len().saturating_sub(max);
        let mut evicted = Vec::with_capacity(too_many);
        while evicted.len() < too_many
            && let Some((_, record)) = self.records.pop_first()
        {
            self.ids.remove(&record.id);
            evicted.push(record);
        }
        evicted
    }

    fn remove(&mut self, cursor: AuditCursor) -> Option<Arc<AuditRecord>> {
        self.ids.remove(&cursor.id);
        self.records.remove(&cursor)
    }

    /// Visits one slice. Returns the start of the next one, if there may be one.
    fn walk_slice(
        &self,
        below: Bound<AuditCursor>,
        look: &mut impl FnMut(&Arc<AuditRecord>) -> Walk,
    ) -> Option<AuditCursor> {
        let mut slice = self
            .records
            .range((Bound::Unbounded, below))
            .rev()
            .take(SLICE);
        let mut last = None;
        let mut seen = 0;
        for (cursor, record) in &mut slice {
            if look(record) == Walk::Enough {
                return None;
            }
            last = Some(*cursor);
            seen += 1;
        }
        last.filter(|_| seen == SLICE)
    }
}

/// The first possible position in listing order for a record of this time.
fn first_of(time: Timestamp) -> AuditCursor {
    AuditCursor {
        dispatched_at: time,
        id: Uuid::nil(),
    }
}

/// Builds [`MemoryAudit`] from `[audit]` with `backend = "memory"`.
pub struct MemoryAudits;

#[async_trait]
impl Factory<Audits> for MemoryAudits {
    const KIND: &'static str = "memory";
    type Config = AuditConfig;

    async fn build(&self, config: AuditConfig, (): ()) -> Result<Arc<dyn Audit>, BuildError> {
        events::begin_audit();
        Ok(Arc::new(MemoryAudit::new(&config)))
    }
}
