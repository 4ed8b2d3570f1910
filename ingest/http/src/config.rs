//! What the HTTP source needs to know and may use. Its options stand in the `server` and `pipeline` sections of the
//! configuration: it is always there, and listens where the server listens.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::rules::Rulebook;
use acteon_core::{Admission, Clock, Counters, Intake};
use tokio_util::sync::CancellationToken;

/// What the HTTP source may know and use.
#[derive(Clone)]
pub struct HttpContext {
    /// Where to hand in what was read.
    pub intake: Arc<dyn Intake>,
    /// Where to ask for room first.
    pub admission: Arc<Admission>,
    /// Whom to ask for dry runs.
    pub rulebook: Arc<dyn Rulebook>,
    /// Where dry runs are counted; the pipeline counts the rest.
    pub counters: Arc<Counters>,
    /// The time.
    pub clock: Clock,
    /// The largest body, in bytes: as in the manners of the router that the routes are merged into.
    pub body_bytes_max: usize,
    /// The longest batch a client may send, in actions.
    pub batch_actions_max: usize,
    /// At most so many actions handed in at once.
    pub max_batch: usize,
    /// How long a request waits for room before it is refused.
    pub admission_timeout: Duration,
    /// Once cancelled, new requests are refused; the first step of the process's shutdown.
    pub stop: CancellationToken,
}
