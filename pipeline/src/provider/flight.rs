//! One attempt under way: its time limit, and what comes of a sink that panics.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use acteon_core::sink::Attempt;
use acteon_core::{FailureCode, ProviderResponse, SinkError};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::Provider;
use super::breaker::Pass;
use crate::job::{Job, idempotency_key};

/// An attempt that has begun, with the job inside.
pub(crate) type Flight = Pin<Box<dyn Future<Output = Landed> + Send>>;

/// An attempt that has ended.
pub(crate) struct Landed {
    pub(super) job: Box<Job>,
    pub(super) pass: Pass,
    /// Zero for a sink that answered without waiting.
    pub(super) took: Duration,
    pub(super) result: Result<ProviderResponse, SinkError>,
}

/// Asks the sink once.
pub(super) fn fly(provider: Arc<Provider>, mut job: Box<Job>, pass: Pass) -> Flight {
    job.attempts += 1;
    job.attempts_at_target += 1;
    Box::pin(async move {
        let (took, result) = ask(&provider, &mut job).await;
        Landed {
            job,
            pass,
            took,
            result,
        }
    })
}

async fn ask(
    provider: &Provider,
    job: &mut Job,
) -> (Duration, Result<ProviderResponse, SinkError>) {
    let key = idempotency_key(&job.delivery);
    let lease = &mut job.lease;
    let attempt = Attempt {
        action: &job.delivery.action,
        idempotency_key: &key,
        number: job.attempts,
    };
    let asking = AssertUnwindSafe(provider.options.sink.deliver(attempt)).catch_unwind();
    tokio::pin!(asking);
    // A sink that answers at once costs neither a clock reading nor a timer.
    if let Poll::Ready(result) = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx))).await {
        return (Duration::ZERO, flatten(result));
    }
    if let Some(lease) = lease {
        lease.keep();
    }
    let (started, limit) = (Instant::now(), provider.options.timeout);
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
