//! What the HTTP source logs and counts.

use std::error::Error;

use acteon_connect_http::code;
use acteon_core::StateError;
use metrics::{Histogram, counter, describe_counter, describe_histogram, histogram};
use tracing::{info, warn};

const REFUSED: &str = "acteon_http_refused_total";
const GATHERED: &str = "acteon_http_gathered_actions";
const DRY_RUNS: &str = "acteon_http_dry_runs_without_state_total";
const PANICS: &str = "acteon_http_submit_panics_total";

/// Describes the metrics and registers their series at zero, so the recorder must be installed first.
#[rustfmt::skip]
pub(crate) fn begin() {
    describe_counter!(REFUSED, "Requests to dispatch that were answered with an error.");
    describe_counter!(DRY_RUNS, "Dry runs refused because rules read state and it did not answer.");
    describe_counter!(PANICS, "Batches that were lost in a panic.");
    describe_histogram!(GATHERED, "Actions that had waited in line and were handed in together.");
    for code in [
        code::INVALID_JSON, code::INVALID_QUERY, code::INVALID_ACTION, code::PAYLOAD_TOO_LARGE,
        code::UNSUPPORTED_MEDIA_TYPE, code::REQUEST_TIMEOUT, code::OVERLOADED, code::STATE_FULL,
        code::STATE_UNAVAILABLE, code::SHUTTING_DOWN, code::INTERNAL,
    ] {
        counter!(REFUSED, "code" => code).increment(0);
    }
    counter!(DRY_RUNS).increment(0);
    counter!(PANICS).increment(0);
}

/// A request was refused; `code` is one of the stable codes.
pub(crate) fn refused(code: &'static str) {
    counter!(REFUSED, "code" => code).increment(1);
}

/// How many actions that had waited in line were handed in together.
pub(crate) struct Gathered(Histogram);

impl Gathered {
    /// The metric is registered here, so this is called when the recorder is in place.
    pub(crate) fn new() -> Self {
        Self(histogram!(GATHERED))
    }

    pub(crate) fn count(&self, actions: usize) {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        self.0.record(f64::from(actions));
    }
}

/// Rules want to know something of the state for a dry run, and it gave no answer.
pub(crate) fn state_away(error: &StateError) {
    counter!(DRY_RUNS).increment(1);
    warn!(
        error = error as &dyn Error,
        "the state did not answer a dry run"
    );
}

/// A batch was lost in a panic below; its actions are answered as internal errors.
pub(crate) fn submit_panicked(actions: usize) {
    counter!(PANICS).increment(1);
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
