//! Tells those who wait for the record of an action that it has been written. It knows of this process only: what
//! another instance writes is found by asking the backend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::audit::AuditRecord;

/// The records that are being written, as seen by those who wait for them. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct WrittenRecords(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    by_action: Mutex<BTreeMap<(CompactString, u64), Arc<Notify>>>,
    /// Tells apart those who wait for the same action.
    next: AtomicU64,
}

/// One who waits for records of one action. Dropping it forgets it.
#[derive(Debug)]
pub struct RecordWait {
    key: (CompactString, u64),
    noticed: Arc<Notify>,
    waiting: Arc<Waiting>,
}

impl WrittenRecords {
    /// From now on no record of this action is missed.
    pub fn wait_for(&self, action_id: &str) -> RecordWait {
        let wait = RecordWait {
            key: (action_id.into(), self.0.next.fetch_add(1, Relaxed)),
            noticed: Arc::default(),
            waiting: self.0.clone(),
        };
        let mut by_action = self.0.by_action.lock();
        by_action.insert(wait.key.clone(), wait.noticed.clone());
        drop(by_action);
        wait
    }

    /// Tells who waits for one of these. To be called when they can be read.
    pub fn announce(&self, records: &[Arc<AuditRecord>]) {
        let by_action = self.0.by_action.lock();
        if by_action.is_empty() {
            return;
        }
        for record in records {
            let all = (record.action_id.clone(), 0)..=(record.action_id.clone(), u64::MAX);
            for noticed in by_action.range(all).map(|(_, noticed)| noticed) {
                noticed.notify_one();
            }
        }
    }
}

impl RecordWait {
    /// Returns when a record has been written since the wait began, or since this returned last.
    pub async fn written(&self) {
        self.noticed.notified().await;
    }
}

impl Drop for RecordWait {
    fn drop(&mut self) {
        self.waiting.by_action.lock().remove(&self.key);
    }
}
