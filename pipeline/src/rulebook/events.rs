//! What is logged and counted when rules change, or fail to.

use acteon_core::StateError;
use acteon_core::rules::{RuleProblem, RulesError};
use metrics::{counter, gauge};

use super::Generation;

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
    counter!("acteon_rules_refused_total").increment(1);
    let RulesError::Invalid(problems) = error else {
        tracing::error!(%error, "rules refused, the old ones stay in force");
        return;
    };
    for problem in problems {
        tracing::error!(%problem, "rules refused, the old ones stay in force");
    }
}

pub(super) fn passed_over(warnings: &[RuleProblem]) {
    for warning in warnings {
        tracing::warn!(%warning, "not among the rules");
    }
}

pub(super) fn toggles_unknown(error: &StateError) {
    counter!("acteon_state_errors_total", "call" => "rule_toggles").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "which rules are toggled is not known"
    );
}
