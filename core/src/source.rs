//! The port to where actions come from.

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
use crate::registry::Family;

/// A running consumer of a broker.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads until told to stop, reconnecting for ever; then waits for what is in flight, acknowledges it, and
    /// returns. Returns an error only for what no waiting can mend.
    async fn run(&self, shutdown: Shutdown) -> Result<(), SourceError>;

    /// Whether it makes progress.
    fn readiness(&self) -> Part;
}

/// The two steps of stopping.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take nothing new; let what is in flight finish.
    pub stop: CancellationToken,
    /// The time for that is over: acknowledge what is settled, leave the rest, return at once.
    pub abandon: CancellationToken,
}

/// What no waiting can mend.
#[derive(Debug, Error)]
#[error("source `{name}`: {message}")]
pub struct SourceError {
    /// The source's configured name.
    pub name: CompactString,
    /// What is wrong and what to change.
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

/// What a source may know and use.
#[derive(Clone)]
pub struct SourceContext {
    /// Its configured name.
    pub name: CompactString,
    /// What to put in for fields its messages lack.
    pub defaults: Defaults,
    /// What a throttled action becomes.
    pub throttled: ThrottledPolicy,
    /// At most so many of its actions in flight; `None`: only the bound of the process.
    pub max_in_flight: Option<u32>,
    /// Its share of what client libraries may fetch ahead, in bytes.
    pub prefetch_bytes: u32,
    /// At most so many actions handed in at once.
    pub max_batch: usize,
    /// Where to hand in what was read.
    pub intake: Arc<dyn Intake>,
    /// Where to ask for room first.
    pub admission: Arc<Admission>,
    /// The time.
    pub clock: Clock,
}
