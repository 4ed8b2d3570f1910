//! What the admin API logs and counts: the line and the counter move together.

use std::error::Error;

use acteon_core::StateError;
use acteon_core::audit::{AuditError, AuditedOutcome};
use metrics::{counter, describe_counter};

use crate::service::change;

const CHANGES: &str = "acteon_admin_changes_total";
const UNRECORDED: &str = "acteon_admin_unrecorded_total";
const BROKEN_OFF: &str = "acteon_admin_broken_off_total";
const LETTERS_LEFT: &str = "acteon_admin_letters_left_total";
const BACKEND_ERRORS: &str = "acteon_admin_backend_errors_total";

/// Describes the metrics and registers their series at zero, so the recorder must be installed first.
#[rustfmt::skip]
pub(crate) fn begin() {
    describe_counter!(CHANGES, "Administrative changes.");
    describe_counter!(UNRECORDED, "Administrative changes that could not be recorded.");
    describe_counter!(BROKEN_OFF, "Administrative changes that broke off.");
    describe_counter!(LETTERS_LEFT, "Dead letters whose action has ended and that could not be deleted.");
    describe_counter!(BACKEND_ERRORS, "Calls of a backend for the admin API that failed.");
    for change in change::ALL {
        for result in ["done", "failed"] {
            counter!(CHANGES, "change" => change, "result" => result).increment(0);
        }
        counter!(UNRECORDED, "change" => change).increment(0);
    }
    for backend in ["state", "audit"] {
        counter!(BACKEND_ERRORS, "backend" => backend).increment(0);
    }
    counter!(BROKEN_OFF).increment(0);
    counter!(LETTERS_LEFT).increment(0);
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
        "a change could not be recorded"
    );
}

pub(crate) fn broke_off(error: &tokio::task::JoinError) {
    counter!(BROKEN_OFF).increment(1);
    tracing::error!(error = error as &dyn Error, "a change broke off");
}

pub(crate) fn letter_stays(id: &str, error: &StateError) {
    counter!(LETTERS_LEFT).increment(1);
    tracing::warn!(
        id,
        error = error as &dyn Error,
        "a dead letter whose action has ended could not be deleted"
    );
}

pub(crate) fn backend_away(backend: &'static str, error: &(dyn Error + 'static)) {
    counter!(BACKEND_ERRORS, "backend" => backend).increment(1);
    tracing::warn!(backend, error, "a backend did not answer the admin API");
}
