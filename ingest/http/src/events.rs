//! The logs and metrics of the HTTP source.

use std::error::Error;

use acteon_connect_http::code;
use acteon_core::StateError;
use metrics::{Histogram, counter, describe_counter, describe_histogram, histogram};
use tracing::{info, warn};

const REFUSED: &str = "acteon_http_refused_total";
const BATCHED: &str = "acteon_http_batched_actions";
const DRY_RUNS: &str = "acteon_http_dry_runs_without_state_total";
const PANICS: &str = "acteon_http_submit_panics_total";

/// Describes the metrics and registers their series at zero, so the recorder must be installed first.
#[rustfmt::skip]
pub(crate) fn describe() {
    describe_counter!(REFUSED, "Dispatch requests and batch items that were answered with an error.");
    describe_counter!(DRY_RUNS, "Dry runs that were refused because the state backend did not answer.");
    describe_counter!(PANICS, "Micro-batches that were lost in a panic.");
    describe_histogram!(BATCHED, "Queued actions per micro-batch.");
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

/// A request or an item of a batch was refused; `code` is one of the stable codes.
pub(crate) fn refused(code: &'static str) {
    counter!(REFUSED, "code" => code).increment(1);
}

/// The histogram of queued actions per micro-batch.
pub(crate) struct BatchSizes(Histogram);

impl BatchSizes {
    /// Registers the metric, so the recorder must be installed first.
    pub(crate) fn new() -> Self {
        Self(histogram!(BATCHED))
    }

    pub(crate) fn record(&self, actions: usize) {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        self.0.record(f64::from(actions));
    }
}

/// Rules read state in a dry run, and the state backend did not answer.
pub(crate) fn dry_run_without_state(error: &StateError) {
    counter!(DRY_RUNS).increment(1);
    warn!(
        error = error as &dyn Error,
        "the state backend did not answer a dry run"
    );
}

/// The pipeline panicked on a batch; its actions are answered with internal errors.
pub(crate) fn submit_panicked(actions: usize) {
    counter!(PANICS).increment(1);
    warn!(actions, "submitting a batch panicked");
}

/// All requests are answered.
pub(crate) fn drained() {
    info!("the HTTP source is drained");
}

/// The time to drain is over.
pub(crate) fn abandoned(actions: u32) {
    warn!(
        actions,
        "the drain timeout expired: HTTP callers get SHUTTING_DOWN"
    );
}
