//! Notifies callers that wait for the audit record of an action. It knows only records of this process. The backend has
//! the records of other instances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::audit::AuditRecord;

/// The callers that wait for records. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct WrittenRecords(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    by_action: Mutex<BTreeMap<(CompactString, u64), Arc<Notify>>>,
    /// Distinguishes callers that wait for the same action.
    next: AtomicU64,
}

/// A caller's wait for records of one action. Dropping it ends the wait.
#[derive(Debug)]
pub struct RecordWait {
    key: (CompactString, u64),
    noticed: Arc<Notify>,
    waiting: Arc<Waiting>,
}

impl WrittenRecords {
    /// Begins a wait. No record of this action is missed from now on.
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

    /// Notifies the callers that wait for one of these records. Call it once the records can be read.
    pub fn announce(&self, records: &[Arc<AuditRecord>]) {
        let by_action = self.0.by_action.lock();
        if by_action.is_empty() {
            return;
        }
        for record in records {
            let action_id = &record.subject.action_id;
            let all = (action_id.clone(), 0)..=(action_id.clone(), u64::MAX);
            for noticed in by_action.range(all).map(|(_, noticed)| noticed) {
                noticed.notify_one();
            }
        }
    }
}

impl RecordWait {
    /// Returns once a record is written since the wait began or since the last return.
    pub async fn written(&self) {
        self.noticed.notified().await;
    }
}

impl Drop for RecordWait {
    fn drop(&mut self) {
        self.waiting.by_action.lock().remove(&self.key);
    }
}
