//! The log lines and metrics of this crate. Each log line and its counter are emitted together.

use std::time::Duration;

use metrics::{counter, describe_counter};
use parking_lot::Mutex;
use tokio::time::Instant;

const LETTERS_EVICTED: &str = "acteon_memory_dead_letters_evicted_total";
const RECORDS_EVICTED: &str = "acteon_memory_audit_records_evicted_total";
const COUNTS_DROPPED: &str = "acteon_memory_counts_dropped_total";

/// Describes the metrics of the state and registers their series at zero, so the recorder must be installed first.
pub(crate) fn begin_state() {
    describe_counter!(
        LETTERS_EVICTED,
        "Dead letters evicted to make room for new ones."
    );
    describe_counter!(
        COUNTS_DROPPED,
        "Actions not counted under a new key because the bound was reached."
    );
    counter!(LETTERS_EVICTED).increment(0);
    counter!(COUNTS_DROPPED).increment(0);
}

/// The same for the audit backend.
pub(crate) fn begin_audit() {
    describe_counter!(
        RECORDS_EVICTED,
        "Audit records evicted to make room for new ones."
    );
    counter!(RECORDS_EVICTED).increment(0);
}

/// Counts can be dropped as fast as actions arrive. Each is counted at once, but logged only once per this interval.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Dead letters were evicted because a bound was reached, not because of their age.
pub(crate) fn dead_letters_evicted(count: usize) {
    if count > 0 {
        counter!(LETTERS_EVICTED).increment(count as u64);
        tracing::warn!(
            count,
            "evicted the oldest dead letters to make room for new ones"
        );
    }
}

/// Audit records were evicted because the bound was reached, not because they had expired.
pub(crate) fn records_evicted(count: usize) {
    if count > 0 {
        counter!(RECORDS_EVICTED).increment(count as u64);
    }
}

/// Counts under new keys were dropped because the bound was reached.
#[derive(Default)]
pub(crate) struct CountsDropped(Mutex<Unlogged>);

#[derive(Default)]
struct Unlogged {
    count: usize,
    logged_at: Option<Instant>,
}

impl CountsDropped {
    pub(crate) fn add(&self, count: usize) {
        if count == 0 {
            return;
        }
        counter!(COUNTS_DROPPED).increment(count as u64);
        let mut unlogged = self.0.lock();
        unlogged.count += count;
        let is_due = |logged_at: Instant| logged_at.elapsed() >= LOG_INTERVAL;
        if unlogged.logged_at.is_none_or(is_due) {
            let count = std::mem::take(&mut unlogged.count);
            unlogged.logged_at = Some(Instant::now());
            tracing::warn!(
                count,
                "actions were not counted under new keys: the state in memory is full (max_keys)"
            );
        }
    }
}
