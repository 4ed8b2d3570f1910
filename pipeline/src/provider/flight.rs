//! One attempt under way: its time limit, and what comes of a sink that panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use acteon_core::sink::Attempt;
use acteon_core::{FailureCode, ProviderResponse, SinkError};
use futures_util::{FutureExt, poll};
use tokio::time::{Instant, timeout};
use tokio_util::sync::ReusableBoxFuture;

use super::Provider;
use super::breaker::Pass;
use crate::job::{Job, idempotency_key};
use crate::leases::Leases;

/// An attempt that has begun, with the job inside.
pub(crate) type Flight = ReusableBoxFuture<'static, Landed>;

/// An attempt that has ended.
pub(crate) struct Landed {
    pub(super) job: Box<Job>,
    pub(super) pass: Pass,
    /// Zero for a sink that answered without waiting.
    pub(super) took: Duration,
    pub(super) result: Result<ProviderResponse, SinkError>,
}

/// What flights need. Shared by those of one batch, or of one lane: others who count their own down on another thread
/// are not disturbed.
pub(crate) struct Tower {
    pub(super) provider: Arc<Provider>,
    pub(super) leases: Arc<Leases>,
}

impl Landed {
    /// The job and the answer of an attempt that went well without waiting, and was no probe.
    pub(super) fn well_at_once(self) -> Result<(Box<Job>, ProviderResponse), Self> {
        match self {
            Self {
                job,
                pass: Pass::Free,
                took: Duration::ZERO,
                result: Ok(response),
            } => Ok((job, response)),
            other => Err(other),
        }
    }
}

/// Asks the sink once.
pub(super) async fn fly(tower: Arc<Tower>, mut job: Box<Job>, pass: Pass) -> Landed {
    job.attempts += 1;
    job.attempts_at_target += 1;
    let (took, result) = ask(&tower, &mut job).await;
    Landed {
        job,
        pass,
        took,
        result,
    }
}

async fn ask(tower: &Tower, job: &mut Job) -> (Duration, Result<ProviderResponse, SinkError>) {
    let options = &tower.provider.options;
    let key = idempotency_key(&job.delivery);
    let lease = &mut job.lease;
    let attempt = Attempt {
        action: &job.delivery.action,
        idempotency_key: &key,
        number: job.attempts,
    };
    let asking = AssertUnwindSafe(options.sink.deliver(attempt)).catch_unwind();
    tokio::pin!(asking);
    // A sink that answers at once costs neither a clock reading nor a timer.
    if let Poll::Ready(result) = poll!(asking.as_mut()) {
        return (Duration::ZERO, flatten(result));
    }
    if let Some(lease) = lease {
        lease.keep(&tower.leases);
    }
    let (started, limit) = (Instant::now(), options.timeout);
    let result = match timeout(limit, asking).await {
        Ok(result) => flatten(result),
        Err(_) => Err(SinkError::transient(
            FailureCode::Timeout,
            format!("no answer within {limit:?}"),
        )),
    };
    (started.elapsed(), result)
}

fn flatten(
    result: std::thread::Result<Result<ProviderResponse, SinkError>>,
) -> Result<ProviderResponse, SinkError> {
    result.unwrap_or_else(|_| {
        let message = "the sink panicked, which is a bug in it";
        Err(SinkError::permanent(FailureCode::ExecutionFailed, message))
    })
}
