//! The log lines and metrics of this crate. Each log line and its counter are emitted together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::Error;

const LOG_BYTES: &str = "acteon_sqlite_wal_bytes";
const FAILED: &str = "acteon_sqlite_failed_transactions_total";

const LETTERS_EVICTED: &str = "acteon_sqlite_dead_letters_evicted_total";
const COUNTS_DROPPED: &str = "acteon_sqlite_counts_dropped_total";

/// Counts can be dropped as fast as actions arrive. Each is counted at once, but logged only once per this interval.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The log lines and metrics of the state.
pub(crate) struct StateEvents {
    letters_evicted: Counter,
    counts_dropped: Counter,
    unlogged: Mutex<Unlogged>,
}

#[derive(Default)]
struct Unlogged {
    count: usize,
    logged_at: Option<Instant>,
}

impl StateEvents {
    /// Describes the metrics and registers their series at zero, so the recorder must be installed first.
    pub(crate) fn begin() -> Self {
        describe_counter!(
            LETTERS_EVICTED,
            "Dead letters evicted to make room for new ones."
        );
        describe_counter!(
            COUNTS_DROPPED,
            "Actions not counted under a new key because the bound was reached."
        );
        let events = Self {
            letters_evicted: counter!(LETTERS_EVICTED),
            counts_dropped: counter!(COUNTS_DROPPED),
            unlogged: Mutex::default(),
        };
        events.letters_evicted.increment(0);
        events.counts_dropped.increment(0);
        events
    }

    /// Dead letters were evicted because a bound was reached, not because of their age.
    pub(crate) fn dead_letters_evicted(&self, count: usize) {
        if count > 0 {
            self.letters_evicted.increment(count as u64);
            tracing::warn!(
                count,
                "evicted the oldest dead letters to make room for new ones"
            );
        }
    }

    /// Counts under new keys were dropped because the bound was reached.
    pub(crate) fn counts_dropped(&self, count: usize) {
        if count == 0 {
            return;
        }
        self.counts_dropped.increment(count as u64);
        let mut unlogged = self.unlogged.lock();
        unlogged.count += count;
        let is_due = |logged_at: Instant| logged_at.elapsed() >= LOG_INTERVAL;
        if unlogged.logged_at.is_none_or(is_due) {
            let count = std::mem::take(&mut unlogged.count);
            unlogged.logged_at = Some(Instant::now());
            tracing::warn!(
                count,
                "actions were not counted under new keys: the state in SQLite is full (max_keys)"
            );
        }
    }
}

/// Whether the transaction before failed, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    Begins,
    Continues,
}

/// The log lines and metrics of one file.
pub(crate) struct FileEvents {
    path: String,
    log: PathBuf,
    log_bytes: Gauge,
    failed: Counter,
}

impl FileEvents {
    /// Describes the metrics and registers their series, so the recorder must be installed first.
    pub(crate) fn begin(path: &Path) -> Self {
        describe_gauge!(
            LOG_BYTES,
            "The size of the write-ahead log beside the file."
        );
        describe_counter!(FAILED, "Transactions that failed, such as on a full disk.");
        let mut log = OsString::from(path);
        log.push("-wal");
        let path = path.display().to_string();
        let events = Self {
            log: log.into(),
            log_bytes: gauge!(LOG_BYTES, "file" => path.clone()),
            failed: counter!(FAILED, "file" => path.clone()),
            path,
        };
        events.failed.increment(0);
        events.written();
        events
    }

    /// The file can be used.
    pub(crate) fn opened(&self, schema: u32, took: Duration) {
        tracing::info!(
            file = self.path,
            sqlite = rusqlite::version(),
            schema,
            took_ms = took.as_millis(),
            "opened the SQLite file"
        );
    }

    /// A transaction has ended.
    pub(crate) fn written(&self) {
        let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        self.log_bytes.set(bytes as f64);
    }

    /// A transaction failed. Only the first of an outage is logged.
    pub(crate) fn write_failed(&self, error: &Error, outage: Outage) {
        self.failed.increment(1);
        if outage == Outage::Begins {
            tracing::warn!(
                file = self.path,
                error = error as &dyn std::error::Error,
                "the SQLite file cannot be written"
            );
        }
    }

    /// A transaction succeeded after others failed.
    pub(crate) fn writes_succeed(&self) {
        tracing::info!(file = self.path, "the SQLite file can be written again");
    }

    /// The log is left beside the file.
    pub(crate) fn not_closed(&self, error: &rusqlite::Error) {
        tracing::warn!(
            file = self.path,
            error = error as &dyn std::error::Error,
            "the write-ahead log of the SQLite file was not emptied; the next start does it"
        );
    }
}
