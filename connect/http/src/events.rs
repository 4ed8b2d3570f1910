//! What this crate logs and counts.

use metrics::counter;
use tracing::error;

/// A request failed for a reason that the client does not see.
pub(crate) fn failed(request_id: &str, cause: &str) {
    counter!("acteon_http_internal_errors_total").increment(1);
    error!(request_id, cause, "a request failed");
}

/// A request ended in a panic: a bug.
pub(crate) fn panicked(request_id: &str, cause: &str) {
    counter!("acteon_http_internal_errors_total").increment(1);
    error!(request_id, cause, "a request panicked");
}
