//! One attempt under way: its time limit, and what comes of a sink that panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use acteon_core::sink::Attempt as Asked;
use acteon_core::{FailureCode, ProviderResponse, SinkError};
use futures_util::{FutureExt, poll};
use tokio::time::{Instant, timeout};
use tokio_util::sync::ReusableBoxFuture;

use super::Provider;
use super::breaker::Pass;
use super::queue::Place;
use crate::job::{Job, idempotency_key};

/// An attempt that has begun, with the job inside.
pub(crate) type Attempt = ReusableBoxFuture<'static, Finished>;

/// An attempt that has ended.
pub(crate) struct Finished {
    pub(super) job: Box<Job>,
    /// Its place in the queue, when it came from there.
    pub(super) place: Option<Place>,
    pub(super) pass: Pass,
    /// Zero for a sink that answered without waiting.
    pub(super) took: Duration,
    pub(super) result: Result<ProviderResponse, SinkError>,
}

impl Finished {
    /// The job and the answer of an attempt that went well without waiting, and was no probe.
    #[expect(
        clippy::result_large_err,
        reason = "it is no error, and is used up where it is returned"
    )]
    pub(super) fn well_at_once(self) -> Result<(Box<Job>, ProviderResponse), Self> {
        match self {
            Self {
                job,
                pass: Pass::Free { .. },
                took: Duration::ZERO,
                result: Ok(response),
                place: None,
            } if job.delivery.history.is_none() => Ok((job, response)),
            other => Err(other),
        }
    }
}

/// Frees the place of a probe when an attempt is dropped before it has ended.
struct Dropped<'a> {
    provider: &'a Provider,
    pass: Option<Pass>,
}

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass {
            self.provider.observed(|stats| stats.breaker.untold(pass));
        }
    }
}

/// Asks the sink once. A batch, or a worker, has a handle of its own on the provider: others who count theirs down on
/// another thread are not disturbed.
pub(super) async fn attempt(
    provider: Arc<Arc<Provider>>,
    mut job: Box<Job>,
    mut place: Option<Place>,
    pass: Pass,
) -> Finished {
    let number = job.attempts() + 1;
    job.route.attempts += 1;
    job.route.attempts_at_target += 1;
    let mut dropped = Dropped {
        provider: &provider,
        pass: matches!(pass, Pass::Probe { .. }).then_some(pass),
    };
    let (took, result) = ask(&provider, &mut job, &mut place, number).await;
    dropped.pass = None;
    Finished {
        job,
        place,
        pass,
        took,
        result,
    }
}

async fn ask(
    provider: &Arc<Provider>,
    job: &mut Job,
    place: &mut Option<Place>,
    number: u32,
) -> (Duration, Result<ProviderResponse, SinkError>) {
    let options = &provider.options;
    let key = idempotency_key(&job.delivery);
    let (bytes, hold) = (job.bytes(), &mut job.hold);
    let attempt = Asked {
        action: &job.delivery.action,
        idempotency_key: &key,
        number,
    };
    let asking = AssertUnwindSafe(options.sink.deliver(attempt)).catch_unwind();
    tokio::pin!(asking);
    // A sink that answers at once costs neither a clock reading nor a timer.
    if let Poll::Ready(result) = poll!(asking.as_mut()) {
        return (Duration::ZERO, flatten(result));
    }
    provider.waits.store(true, Relaxed);
    place.get_or_insert_with(|| provider.queue.enter_running(bytes));
    if let Some(hold) = hold {
        hold.renew();
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
