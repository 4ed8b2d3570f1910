//! What the HTTP source logs and counts.

use metrics::{counter, histogram};
use tracing::{info, warn};

/// A request was refused; `code` is one of the stable codes.
pub(crate) fn refused(code: &'static str) {
    counter!("acteon_http_refused_total", "code" => code).increment(1);
}

/// So many actions were handed in together.
pub(crate) fn submitted(actions: usize) {
    let actions = u32::try_from(actions).unwrap_or(u32::MAX);
    histogram!("acteon_http_submitted_actions").record(f64::from(actions));
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
pub(crate) fn abandoned(tasks: usize) {
    warn!(tasks, "the HTTP source stops with requests unanswered");
}
