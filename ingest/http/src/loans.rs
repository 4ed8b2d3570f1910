//! The loans of callers: how many are open, and the result of each. A provider's response keeps a permit
//! for its memory until the client has read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use acteon_connect_http::ApiError;
use acteon_core::delivery::{Origin, Settled};
use acteon_core::reply::Replies;
use acteon_core::{ActionOutcome, Admission, Failure, FailureCode, Permit, Refusal};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A provider's body of at most this size needs no permit: the permit of its action, which is released, was larger.
const UNPERMITTED_BYTES_MAX: usize = 512;

/// A bug: the holder of an action dropped it unsettled.
#[derive(Debug, Error)]
#[error("an action was abandoned without an outcome")]
pub(crate) struct NoOutcome;

/// The end of an action, as the answer shows it.
pub(crate) struct CallerResult {
    pub(crate) outcome: Result<ActionOutcome, ApiError>,
    /// Covers the memory of the provider's body.
    pub(crate) permit: Option<Permit>,
    pub(crate) freshness: Freshness,
}

/// Whether the same action was answered before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    New,
    /// The outcome comes from the memory for ids.
    Replayed,
}

impl CallerResult {
    /// A result with a permit for the provider's body. Without room for one, a short body replaces it.
    fn with_permit(outcome: Result<ActionOutcome, ApiError>, admission: &Arc<Admission>) -> Self {
        let bytes = outcome.as_ref().map_or(0, ActionOutcome::body_bytes);
        if bytes <= UNPERMITTED_BYTES_MAX {
            return outcome.into();
        }
        match admission.try_admit(0, bytes as u64) {
            None => outcome.map(|outcome| outcome.abridged()).into(),
            permit => Self {
                permit,
                ..outcome.into()
            },
        }
    }
}

impl From<Result<ActionOutcome, ApiError>> for CallerResult {
    fn from(outcome: Result<ActionOutcome, ApiError>) -> Self {
        Self {
            outcome,
            permit: None,
            freshness: Freshness::New,
        }
    }
}

/// All loans of the source.
pub(crate) struct CallerLoans {
    admission: Arc<Admission>,
    open: AtomicU32,
    /// Once cancelled, abandoned actions are answered with `SHUTTING_DOWN`.
    stop: CancellationToken,
}

impl CallerLoans {
    pub(crate) fn new(admission: Arc<Admission>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            admission,
            open: AtomicU32::new(0),
            stop,
        })
    }

    /// An origin for `count` loans, and the channel that delivers all their results together.
    pub(crate) fn lend(
        self: &Arc<Self>,
        count: usize,
    ) -> (Arc<dyn Origin>, oneshot::Receiver<Vec<CallerResult>>) {
        let this = self.clone();
        this.open
            .fetch_add(u32::try_from(count).unwrap_or(u32::MAX), Relaxed);
        let (origin, results) = Replies::expect_as(count, move |settled| {
            this.open.fetch_sub(1, Relaxed);
            this.result_of(settled)
        });
        (origin, results)
    }

    fn result_of(&self, settled: Settled) -> CallerResult {
        let is_abandoned = matches!(
            settled,
            Settled::Retry {
                refusal: Refusal::Abandoned,
                ..
            }
        );
        // Asked last, because the token has a lock that all threads share.
        if is_abandoned && self.stop.is_cancelled() {
            return Err(ApiError::shutting_down()).into();
        }
        let freshness = match settled {
            Settled::Remembered(_) => Freshness::Replayed,
            _ => Freshness::New,
        };
        let result = CallerResult::with_permit(outcome_of(settled), &self.admission);
        CallerResult {
            freshness,
            ..result
        }
    }

    /// How many loans are not settled yet.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }
}

/// The outcome of a settled loan, or the error that replaces it.
fn outcome_of(settled: Settled) -> Result<ActionOutcome, ApiError> {
    match settled {
        Settled::Done(outcome) | Settled::Remembered(outcome) | Settled::Partly { outcome, .. } => {
            Ok(outcome)
        }
        // The policy of this source prevents dead letters, but an unexpected one still has a correct answer.
        Settled::DeadLettered(letter) => Ok(ActionOutcome::Failed(Failure {
            code: FailureCode::ExecutionFailed,
            message: letter.message.clone(),
            retryable: false,
            attempts: letter.attempts,
        })),
        Settled::Retry { after, refusal, .. } => {
            Err(ApiError::of_refusal(refusal, after, &NoOutcome))
        }
        // An action whose caller waits is never redelivered.
        Settled::Later { .. } => Err(ApiError::internal(&NoOutcome)),
    }
}
