//! The logs and metrics of this crate.

use metrics::{counter, describe_counter};
use tracing::error;

const INTERNAL_ERRORS: &str = "acteon_http_internal_errors_total";

/// Describes the metrics and registers their series at zero, so the recorder must be installed first.
pub(crate) fn describe() {
    describe_counter!(INTERNAL_ERRORS, "Requests that failed because of a bug.");
    counter!(INTERNAL_ERRORS).increment(0);
}

/// A request failed for a reason that the client does not see.
pub(crate) fn failed(request_id: &str, cause: &str) {
    counter!(INTERNAL_ERRORS).increment(1);
    error!(request_id, cause, "a request failed");
}

/// A request panicked, which is a bug.
pub(crate) fn panicked(request_id: &str, cause: &str) {
    counter!(INTERNAL_ERRORS).increment(1);
    error!(request_id, cause, "a request panicked");
}
