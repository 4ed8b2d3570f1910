//! What this crate logs and counts.

use metrics::{counter, describe_counter};
use tracing::error;

const INTERNAL_ERRORS: &str = "acteon_http_internal_errors_total";

/// Describes the metrics and registers their series at zero, so the recorder must be installed first.
pub(crate) fn begin() {
    describe_counter!(INTERNAL_ERRORS, "Requests that failed by a bug.");
    counter!(INTERNAL_ERRORS).increment(0);
}

/// A request failed for a reason that the client does not see.
pub(crate) fn failed(request_id: &str, cause: &str) {
    counter!(INTERNAL_ERRORS).increment(1);
    error!(request_id, cause, "a request failed");
}

/// A request ended in a panic: a bug.
pub(crate) fn panicked(request_id: &str, cause: &str) {
    counter!(INTERNAL_ERRORS).increment(1);
    error!(request_id, cause, "a request panicked");
}
