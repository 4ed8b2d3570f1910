//! The log lines and metrics of loading rules.

use acteon_core::StateError;
use acteon_core::rules::{RuleProblem, RulesError};
use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::Generation;

const REFUSED: &str = "acteon_rules_refused_total";
const LAST_SUCCESSFUL: &str = "acteon_rules_last_reload_successful";
const LAST_SUCCESS: &str = "acteon_rules_last_reload_success_timestamp_seconds";

#[rustfmt::skip]
pub(super) fn describe() {
    describe_gauge!("acteon_rules", "Rules in force.");
    describe_gauge!("acteon_rules_generation", "The number of the rule set in force.");
    describe_gauge!("acteon_rules_content_hash", "The beginning of the hash of the rule files, as a number.");
    describe_gauge!(LAST_SUCCESSFUL, "Whether the last attempt to load the rules succeeded.");
    describe_gauge!(LAST_SUCCESS, "When rules were last loaded, in seconds since the Unix epoch.");
    describe_counter!(REFUSED, "Refused rule sets.");
    counter!(REFUSED).increment(0);
}

/// Rule files were loaded without errors, whether they had changed or not.
pub(super) fn loaded(now: Timestamp) {
    gauge!(LAST_SUCCESSFUL).set(1.0);
    gauge!(LAST_SUCCESS).set(now.as_millisecond() as f64 / 1e3);
}

pub(super) fn in_force(generation: &Generation) {
    let stamp = generation.stamp;
    gauge!("acteon_rules_generation").set(stamp.number as f64);
    gauge!("acteon_rules_content_hash").set(stamp.hash.as_gauge());
    gauge!("acteon_rules").set(generation.set.len() as f64);
    tracing::info!(
        generation = stamp.number,
        rules = generation.set.len(),
        content_hash = generation.set.content_hash(),
        "rules in force"
    );
}

pub(super) fn refused(error: &RulesError) {
    counter!(REFUSED).increment(1);
    gauge!(LAST_SUCCESSFUL).set(0.0);
    let RulesError::Invalid(problems) = error else {
        tracing::error!(%error, "rules refused, the previous ones stay in force");
        return;
    };
    for problem in problems {
        tracing::error!(%problem, "rules refused, the previous ones stay in force");
    }
}

pub(super) fn ignored_files(warnings: &[RuleProblem]) {
    for warning in warnings {
        tracing::warn!(%warning, "file not loaded as rules");
    }
}

pub(super) fn toggles_unknown(error: &StateError) {
    counter!("acteon_state_errors_total", "call" => "rule_toggles").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the rule toggles could not be read"
    );
}
