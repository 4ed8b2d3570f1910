//! The port to the sources of actions.

use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::clock::Clock;
use crate::decode::Defaults;
use crate::disposition::ThrottledPolicy;
use crate::health::Part;
use crate::intake::Intake;
use crate::registry::{BuildError, Family};

/// A running consumer of a broker.
#[async_trait]
pub trait Source: Send + Sync {
    /// Runs until shutdown.
    /// - Reconnects forever.
    /// - On stop, waits for the messages in flight, acknowledges them and returns.
    /// - Returns an error only if waiting cannot help.
    async fn run(&self, shutdown: Shutdown) -> Result<(), SourceError>;

    /// Reports whether the source makes progress.
    fn readiness(&self) -> Part;

    /// Connects as [`Source::run`] does, and reads nothing. Returns a short description of the peer, or `None` if the
    /// source connects to nothing.
    async fn dial(&self) -> Result<Option<String>, BuildError> {
        Ok(None)
    }
}

/// The two steps of shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take nothing new. Let the messages in flight finish.
    pub stop: CancellationToken,
    /// The time to finish is over. Acknowledge everything that is settled, leave the rest, and return at once.
    pub abandon: CancellationToken,
}

/// An error that waiting cannot fix.
#[derive(Debug, Error)]
#[error("source `{name}`: {message}")]
pub struct SourceError {
    /// The source's configured name.
    pub name: CompactString,
    /// The problem, and what to change.
    pub message: String,
    /// The library's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The family of sources.
pub struct Sources;

impl Family for Sources {
    const NAME: &'static str = "source";
    type Context = SourceContext;
    type Product = Arc<dyn Source>;
}

/// The context of a source.
#[derive(Clone)]
pub struct SourceContext {
    /// The source's configured name.
    pub name: CompactString,
    /// Defaults for fields that its messages lack.
    pub defaults: Defaults,
    /// What happens to a throttled action.
    pub throttled: ThrottledPolicy,
    /// The maximum number of its actions in flight. `None`: only the process limit applies.
    pub max_in_flight: Option<u32>,
    /// Its share of the bytes that client libraries may prefetch.
    pub prefetch_bytes: u32,
    /// The maximum number of actions per submitted batch.
    pub max_batch: usize,
    /// Where to submit the messages it reads.
    pub intake: Arc<dyn Intake>,
    /// Where to ask for room before reading.
    pub admission: Arc<Admission>,
    /// The time.
    pub clock: Clock,
}
