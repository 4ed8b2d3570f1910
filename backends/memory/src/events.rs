//! What this crate logs and counts, line and counter together.

use metrics::counter;

/// Dead letters went because a bound was reached, not because they were old.
pub(crate) fn dead_letters_evicted(count: usize) {
    if count > 0 {
        counter!("acteon_memory_dead_letters_evicted_total").increment(count as u64);
        tracing::warn!(count, "the oldest dead letters made room for new ones");
    }
}

/// Audit records went because the bound was reached, not because they had expired.
pub(crate) fn records_evicted(count: usize) {
    if count > 0 {
        counter!("acteon_memory_audit_records_evicted_total").increment(count as u64);
    }
}
