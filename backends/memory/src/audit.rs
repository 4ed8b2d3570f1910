//! Implements the audit port with an ordered map of the newest records.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use acteon_core::action::Payload;
use acteon_core::attempt::AttemptRecord;
use acteon_core::audit::{
    Audit, AuditContext, AuditCursor, AuditError, AuditPage, AuditQuery, AuditRecord, Audits,
    PageStart,
};
use acteon_core::registry::{BuildError, Factory};
use acteon_core::scope::Scope;
use async_trait::async_trait;
use compact_str::CompactString;
use hashbrown::HashSet;
use jiff::Timestamp;
use parking_lot::RwLock;
use uuid::Uuid;

use crate::config::AuditConfig;
use crate::events;

/// The number of records visited before writers and other tasks get a turn.
const SLICE: usize = 2048;

/// A record without its variable parts, and its entries in the map and in the set of ids.
const RECORD_BYTES: usize = size_of::<AuditRecord>() + 96;
/// A label without its texts.
const LABEL_BYTES: usize = 2 * size_of::<CompactString>();

/// The newest records, in the memory of this process.
pub struct MemoryAudit {
    kept: RwLock<Kept>,
    max_records: usize,
    max_bytes: usize,
}

/// Records in listing order, oldest first, and their ids.
#[derive(Default)]
struct Kept {
    records: BTreeMap<AuditCursor, KeptRecord>,
    ids: HashSet<Uuid>,
    bytes: usize,
}

struct KeptRecord {
    record: Arc<AuditRecord>,
    /// Its [`bytes_of`], so that eviction need not read a record that has long left the cache.
    bytes: usize,
}

impl MemoryAudit {
    /// An empty trail with these bounds.
    pub fn new(config: &AuditConfig) -> Self {
        Self {
            kept: RwLock::default(),
            max_records: config.max_records.get(),
            max_bytes: config.max_bytes,
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
        let evicted = {
            let mut kept = self.kept.write();
            kept.append(records);
            kept.evict(self.max_records, self.max_bytes)
        };
        // They are freed here, outside the lock.
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
    /// Stores new records.
    fn append(&mut self, records: &[Arc<AuditRecord>]) {
        for record in records {
            if self.ids.insert(record.id) {
                let kept = KeptRecord {
                    record: record.clone(),
                    bytes: bytes_of(record),
                };
                self.bytes += kept.bytes;
                self.records.insert(AuditCursor::of(record), kept);
            }
        }
    }

    /// Removes the oldest records until both bounds hold, and returns them. The newest one stays.
    fn evict(&mut self, max_records: usize, max_bytes: usize) -> Vec<Arc<AuditRecord>> {
        let mut evicted = Vec::new();
        while (self.records.len() > max_records || self.bytes > max_bytes && self.records.len() > 1)
            && let Some((cursor, kept)) = self.records.pop_first()
        {
            evicted.push(self.removed(cursor, kept));
        }
        evicted
    }

    fn remove(&mut self, cursor: AuditCursor) -> Option<Arc<AuditRecord>> {
        let kept = self.records.remove(&cursor)?;
        Some(self.removed(cursor, kept))
    }

    /// Completes the removal of an entry that has left the map.
    fn removed(&mut self, cursor: AuditCursor, kept: KeptRecord) -> Arc<AuditRecord> {
        self.ids.remove(&cursor.id);
        self.bytes -= kept.bytes;
        kept.record
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
        for (cursor, kept) in &mut slice {
            if look(&kept.record) == Walk::Enough {
                return None;
            }
            last = Some(*cursor);
            seen += 1;
        }
        last.filter(|_| seen == SLICE)
    }
}

/// The memory of a record: the fixed part, and the parts that a sender or a provider can make large.
fn bytes_of(record: &AuditRecord) -> usize {
    let payload = record.payload.as_ref().map_or(0, Payload::len);
    let labels = record.metadata.iter();
    let labels = labels.map(|(key, value)| LABEL_BYTES + key.len() + value.len());
    let attempts = record.attempts.iter();
    let attempts = attempts.map(|attempt| {
        size_of::<AttemptRecord>() + attempt.excerpt.as_ref().map_or(0, |excerpt| excerpt.len())
    });
    let subject = &record.subject;
    let names = [
        &subject.action_id,
        &subject.namespace,
        &subject.tenant,
        &subject.provider,
        &subject.action_type,
    ];
    let names = names.iter().map(|name| name.len());
    let parts = labels.chain(attempts).chain(names).sum::<usize>();
    RECORD_BYTES + payload + parts
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

    async fn build(
        &self,
        config: AuditConfig,
        _: AuditContext,
    ) -> Result<Arc<dyn Audit>, BuildError> {
        events::begin_audit();
        Ok(Arc::new(MemoryAudit::new(&config)))
    }
}
