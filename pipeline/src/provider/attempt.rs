//! One running attempt: its time limit, and the handling of a sink that panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use acteon_core::{Action, Attempt, Failure, FailureCode, ProviderResponse, SinkError};
use compact_str::{CompactString, format_compact};
use futures_util::{FutureExt, poll};
use tokio::time::{Instant, timeout};
use tokio_util::sync::ReusableBoxFuture;

use super::breaker::Pass;
use super::events::template_failed;
use super::queue::QueuePlace;
use super::{Provider, ProviderHandle};
use crate::job::{Job, idempotency_key};
use crate::options::ProviderOptions;

/// A running attempt, with its job inside.
pub(crate) type RunningAttempt = ReusableBoxFuture<'static, FinishedAttempt>;

/// A finished attempt.
pub(crate) struct FinishedAttempt {
    pub(super) job: Box<Job>,
    /// Its place in the queue, if it has one.
    pub(super) place: Option<QueuePlace>,
    pub(super) pass: Pass,
    /// Zero if the sink answered without waiting.
    pub(super) took: Duration,
    /// The template that failed although the sink accepted the action.
    pub(super) note: Option<CompactString>,
    pub(super) result: Result<ProviderResponse, SinkError>,
}

/// The parts of its provider that an attempt holds until it ends. If dropped earlier, it releases its own slot, if it
/// has one, and the turn of a probe.
struct Unfinished<'a> {
    provider: &'a Provider,
    pass: Pass,
    /// Its place in the queue. An attempt that started inline gets one, and its own slot, once it waits.
    place: Option<QueuePlace>,
    has_ended: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let pass = self.pass;
        self.provider
            .observed(|stats| stats.breaker.abandoned(pass));
        if self.place.is_some() {
            self.provider.free_slot();
        }
    }
}

/// Calls the sink once. Each batch and each worker has its own handle on the provider, so that threads do not contend
/// for one reference count.
pub(super) async fn attempt(
    provider: Arc<ProviderHandle>,
    mut job: Box<Job>,
    place: Option<QueuePlace>,
    pass: Pass,
) -> FinishedAttempt {
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
    let (result, note) = match result {
        Ok(accepted) => (Ok(accepted.response), accepted.note),
        Err(error) => (Err(error), None),
    };
    FinishedAttempt {
        job,
        place: unfinished.place.take(),
        pass,
        took,
        note,
        result,
    }
}

async fn ask(
    provider: &Provider,
    job: &mut Job,
    place: &mut Option<QueuePlace>,
    number: u32,
) -> (Duration, Result<Accepted, SinkError>) {
    let options = &provider.options;
    let key = idempotency_key(&job.delivery);
    let bytes = job.bytes();
    let hold = &mut job.hold;
    let attempt = Attempt {
        action: &job.delivery.action,
        idempotency_key: &key,
        number,
        progress: job.delivery.progress(),
    };
    let asking = AssertUnwindSafe(deliver(options, attempt)).catch_unwind();
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
    let started = Instant::now();
    let result = within(options.timeout, asking).await;
    (started.elapsed(), result)
}

async fn within(
    limit: Duration,
    asking: impl Future<Output = std::thread::Result<Result<Accepted, SinkError>>>,
) -> Result<Accepted, SinkError> {
    match timeout(limit, asking).await {
        Ok(result) => flatten(result),
        Err(_) => Err(SinkError::transient(
            FailureCode::Timeout,
            format!("no answer within {limit:?}"),
        )),
    }
}

/// Calls the sink once with a test message, outside the queue and the breaker. Nothing is sent during a pause that the
/// provider has asked for.
pub(super) async fn test(
    provider: &Provider,
    action: &Action,
) -> Result<ProviderResponse, Failure> {
    let left = provider.paused_for(Instant::now()).unwrap_or_default();
    if !left.is_zero() {
        return Err(during_pause(left));
    }
    let options = &provider.options;
    let attempt = Attempt {
        action,
        idempotency_key: &action.id,
        number: 1,
        progress: None,
    };
    let asking = AssertUnwindSafe(deliver(options, attempt)).catch_unwind();
    let result = within(options.timeout, asking).await;
    let hidden = options.redactor.hidden_values(&action.payload);
    let failure = |error: SinkError| Failure {
        code: error.code,
        retryable: error.is_retryable(),
        message: hidden.removed_from(error.message.into()).into(),
        attempts: 1,
    };
    result.map(|accepted| accepted.response).map_err(failure)
}

fn during_pause(left: Duration) -> Failure {
    let seconds = left.as_secs_f64().ceil();
    Failure {
        code: FailureCode::RateLimited,
        message: format_compact!("the provider asked for a pause, which ends in {seconds} s"),
        retryable: true,
        attempts: 0,
    }
}

/// The response to an action that the sink accepted.
struct Accepted {
    response: ProviderResponse,
    note: Option<CompactString>,
}

/// Calls the sink with the action, or with what the provider's templates make of it.
async fn deliver(options: &ProviderOptions, attempt: Attempt<'_>) -> Result<Accepted, SinkError> {
    let name = &options.name;
    let id = &attempt.action.id;
    let written = options.templates.write(name, attempt.action).await;
    let written = written.inspect_err(|error| template_failed(name, id, &error.message));
    let Some(written) = written? else {
        let response = options.sink.deliver(attempt).await?;
        return Ok(Accepted {
            response,
            note: None,
        });
    };
    if let Some(note) = &written.note {
        template_failed(name, id, note);
    }
    let attempt = Attempt {
        action: &written.action,
        ..attempt
    };
    let response = options.sink.deliver(attempt).await?;
    Ok(Accepted {
        response: written.with_note(response),
        note: written.note,
    })
}

fn flatten(
    result: std::thread::Result<Result<Accepted, SinkError>>,
) -> Result<Accepted, SinkError> {
    result.unwrap_or_else(|_| {
        let message = "the sink panicked, which is a bug in the sink";
        Err(SinkError::permanent(FailureCode::ExecutionFailed, message))
    })
}
