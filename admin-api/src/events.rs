//! The logs and metrics of the admin API. Each event writes its line and its counter together.

use std::error::Error;

use acteon_core::StateError;
use acteon_core::audit::{AuditError, AuditedOutcome};
use metrics::{counter, describe_counter};

const CHANGES: &str = "acteon_admin_changes_total";
const UNRECORDED: &str = "acteon_admin_unrecorded_total";
const ABORTED: &str = "acteon_admin_changes_aborted_total";
const LETTERS_NOT_DELETED: &str = "acteon_admin_letters_not_deleted_total";
const BACKEND_ERRORS: &str = "acteon_admin_backend_errors_total";

/// Describes the metrics and registers their series at zero, so the recorder must be installed first. `changes` are the
/// names of all changes.
#[rustfmt::skip]
pub(crate) fn describe(changes: &[&'static str]) {
    describe_counter!(CHANGES, "Administrative changes.");
    describe_counter!(UNRECORDED, "Administrative changes that could not be recorded.");
    describe_counter!(ABORTED, "Administrative changes that were aborted.");
    describe_counter!(LETTERS_NOT_DELETED, "Dead letters that could not be deleted after their replay.");
    describe_counter!(BACKEND_ERRORS, "Failed backend calls of the admin API.");
    for change in changes {
        for result in ["done", "failed"] {
            counter!(CHANGES, "change" => *change, "result" => result).increment(0);
        }
        counter!(UNRECORDED, "change" => *change).increment(0);
    }
    for backend in ["state", "audit"] {
        counter!(BACKEND_ERRORS, "backend" => backend).increment(0);
    }
    counter!(ABORTED).increment(0);
    counter!(LETTERS_NOT_DELETED).increment(0);
}

pub(crate) fn changed(change: &'static str, outcome: &AuditedOutcome) {
    let result = if outcome.name() == "failed" {
        "failed"
    } else {
        "done"
    };
    counter!(CHANGES, "change" => change, "result" => result).increment(1);
    tracing::debug!(change, outcome = outcome.name(), "an administrative change");
}

pub(crate) fn unrecorded(change: &'static str, error: &AuditError) {
    counter!(UNRECORDED, "change" => change).increment(1);
    tracing::error!(
        change,
        error = error as &dyn Error,
        "an administrative change could not be recorded"
    );
}

pub(crate) fn change_aborted(error: &tokio::task::JoinError) {
    counter!(ABORTED).increment(1);
    tracing::error!(
        error = error as &dyn Error,
        "an administrative change was aborted"
    );
}

pub(crate) fn letter_not_deleted(id: &str, error: &StateError) {
    counter!(LETTERS_NOT_DELETED).increment(1);
    tracing::warn!(
        id,
        error = error as &dyn Error,
        "a replayed dead letter could not be deleted"
    );
}

pub(crate) fn progress_not_kept(id: &str, error: &StateError) {
    counter!(BACKEND_ERRORS, "backend" => "state").increment(1);
    tracing::warn!(
        id,
        error = error as &dyn Error,
        "the progress of a replay could not be kept; the next replay delivers its parts again"
    );
}

pub(crate) fn backend_unavailable(backend: &'static str, error: &(dyn Error + 'static)) {
    counter!(BACKEND_ERRORS, "backend" => backend).increment(1);
    tracing::warn!(backend, error, "a backend did not answer the admin API");
}
