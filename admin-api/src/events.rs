//! What the admin API logs and counts: the line and the counter move together.

use std::error::Error;

use acteon_core::StateError;
use acteon_core::audit::{AuditError, AuditedOutcome};
use metrics::counter;

pub(crate) fn changed(change: &'static str, outcome: &AuditedOutcome) {
    let result = if outcome.name() == "failed" {
        "failed"
    } else {
        "done"
    };
    counter!("acteon_admin_changes_total", "change" => change, "result" => result).increment(1);
    tracing::debug!(change, outcome = outcome.name(), "an administrative change");
}

pub(crate) fn unrecorded(change: &'static str, error: &AuditError) {
    counter!("acteon_admin_unrecorded_total", "change" => change).increment(1);
    tracing::error!(
        change,
        error = error as &dyn Error,
        "a change could not be recorded"
    );
}

pub(crate) fn broke_off(error: &tokio::task::JoinError) {
    counter!("acteon_admin_broken_off_total").increment(1);
    tracing::error!(error = error as &dyn Error, "a change broke off");
}

pub(crate) fn letter_stays(id: &str, error: &StateError) {
    counter!("acteon_admin_letters_left_total").increment(1);
    tracing::warn!(
        id,
        error = error as &dyn Error,
        "a dead letter whose action has ended could not be deleted"
    );
}

pub(crate) fn backend_away(backend: &'static str, error: &(dyn Error + 'static)) {
    counter!("acteon_admin_backend_errors_total", "backend" => backend).increment(1);
    tracing::warn!(backend, error, "a backend did not answer the admin API");
}
