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

use super::breaker::Pass;
use super::queue::Place;
use super::{Handle, Provider};
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

/// What an attempt keeps of its provider until it ends. Dropped before that, it gives back its slot, where it has one of
/// its own, and the place of a probe.
struct Unfinished<'a> {
    provider: &'a Provider,
    pass: Pass,
    /// Its place in the queue: an attempt that was begun inline has one, and a slot of its own, once it waits.
    place: Option<Place>,
    has_ended: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let pass = self.pass;
        self.provider.observed(|stats| stats.breaker.untold(pass));
        if self.place.is_some() {
            self.provider.free_slot();
        }
    }
}

/// Asks the sink once. A batch, or a worker, has a handle of its own on the provider: others who count theirs down on
/// another thread are not disturbed.
pub(super) async fn attempt(
    provider: Arc<Handle>,
    mut job: Box<Job>,
    place: Option<Place>,
    pass: Pass,
) -> Finished {
    let number = job.attempts() + 1;
    job.route.attempts += 1;
    job.route.attempts_at_target += 1;
    let mut unfinished = Unfinished {
        provider: &provider.0,
        pass,
        place,
        has_ended: false,
    };
    let (took, result) = ask(&provider.0, &mut job, &mut unfinished.place, number).await;
    unfinished.has_ended = true;
    Finished {
        job,
        place: unfinished.place.take(),
        pass,
        took,
        result,
    }
}

async fn ask(
    provider: &Provider,
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
