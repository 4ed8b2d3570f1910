//! What the HTTP source logs and counts.

use std::error::Error;

use acteon_core::StateError;
use metrics::{Histogram, counter, histogram};
use tracing::{info, warn};

/// A request was refused; `code` is one of the stable codes.
pub(crate) fn refused(code: &'static str) {
    counter!("acteon_http_refused_total", "code" => code).increment(1);
}

/// How many actions that had waited in line were handed in together.
pub(crate) struct Gathered(Histogram);

impl Gathered {
    /// The metric is registered here, so this is called when the recorder is in place.
    pub(crate) fn new() -> Self {
        Self(histogram!("acteon_http_gathered_actions"))
    }

    pub(crate) fn count(&self, actions: usize) {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        self.0.record(f64::from(actions));
    }
}

/// Rules want to know something of the state for a dry run, and it gave no answer.
pub(crate) fn state_away(error: &StateError) {
    counter!("acteon_http_dry_runs_without_state_total").increment(1);
    warn!(
        error = error as &dyn Error,
        "the state did not answer a dry run"
    );
}

/// A batch was lost in a panic below; its actions are answered as internal errors.
pub(crate) fn submit_panicked(actions: usize) {
    counter!("acteon_http_submit_panics_total").increment(1);
    warn!(actions, "handing in a batch panicked");
}

/// All requests are answered.
pub(crate) fn drained() {
    info!("the HTTP source has finished its work");
}

/// The time for finishing is over.
pub(crate) fn abandoned(actions: u32) {
    warn!(
        actions,
        "the time to drain is over: HTTP callers are answered SHUTTING_DOWN"
    );
}
