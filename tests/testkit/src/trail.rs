//! An audit trail that keeps its records in a list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use acteon_core::audit::{AuditError, AuditRecord, Trail};
use async_trait::async_trait;
use parking_lot::Mutex;

use crate::tally::Tally;

/// Keeps all records, in order. Sets no `expires_at`.
#[derive(Default)]
pub struct RecordingTrail {
    records: Mutex<Vec<AuditRecord>>,
    calls: AtomicUsize,
    refuses: AtomicBool,
    panics: AtomicBool,
    tally: Tally,
}

impl RecordingTrail {
    /// An empty trail.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Refuses further records.
    pub fn refuse(&self) {
        self.refuses.store(true, SeqCst);
    }

    /// Panics at the next call.
    pub fn panic_once(&self) {
        self.panics.store(true, SeqCst);
    }

    /// Accepts further records again.
    pub fn accept(&self) {
        self.refuses.store(false, SeqCst);
    }

    /// Waits until `count` records in total have arrived.
    pub async fn wait_for_records(&self, count: usize) {
        self.tally.reach(count, "audit records").await;
    }

    /// The records, in order.
    pub fn records(&self) -> Vec<AuditRecord> {
        self.records.lock().clone()
    }

    /// How often [`Trail::record`] was called, including refused calls.
    pub fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

#[async_trait]
impl Trail for RecordingTrail {
    async fn record(&self, records: Vec<AuditRecord>) -> Result<(), AuditError> {
        self.calls.fetch_add(1, SeqCst);
        assert!(!self.panics.swap(false, SeqCst), "the test said so");
        if self.refuses.load(SeqCst) {
            return Err(AuditError::Unavailable("the test said so".into()));
        }
        let count = records.len();
        self.records.lock().extend(records);
        self.tally.add(count);
        Ok(())
    }
}
