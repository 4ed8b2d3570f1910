//! The context of the HTTP source. Its options are in the `server` and `pipeline` sections of the configuration: the
//! source always exists, and uses the listener of the server.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::rules::Rulebook;
use acteon_core::{Admission, Clock, Counters, Intake};
use tokio_util::sync::CancellationToken;

/// The limits of the HTTP source, and the parts of the server that it uses.
#[derive(Clone)]
pub struct HttpContext {
    /// The pipeline, which takes the actions.
    pub intake: Arc<dyn Intake>,
    /// Grants permits for actions before they go to the pipeline.
    pub admission: Arc<Admission>,
    /// Answers dry runs.
    pub rulebook: Arc<dyn Rulebook>,
    /// Counts dry runs; the pipeline counts the rest.
    pub counters: Arc<Counters>,
    /// The clock.
    pub clock: Clock,
    /// The largest body, in bytes: the limit of the `ApiService` that the routes are merged into.
    pub body_bytes_max: usize,
    /// The longest batch that a client may send, in actions.
    pub batch_actions_max: usize,
    /// The most actions in one micro-batch.
    pub max_batch: usize,
    /// How long a request waits for admission before it is refused.
    pub admission_timeout: Duration,
    /// Once cancelled, new requests are refused. This is the first step of the process's shutdown.
    pub stop: CancellationToken,
}
