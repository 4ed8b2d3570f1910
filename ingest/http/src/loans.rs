//! The actions of callers who wait: how many are on loan, and what each end is as an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use acteon_connect_http::ApiError;
use acteon_core::delivery::{Origin, Settled};
use acteon_core::reply::Replies;
use acteon_core::{ActionOutcome, Refusal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::answer::outcome_of;

/// How an action ended, as its caller is told.
pub(crate) type Ended = Result<ActionOutcome, ApiError>;

/// All loans of the source.
pub(crate) struct Loans {
    open: AtomicU32,
    /// Once cancelled, whoever gives an action up does so because the process ends.
    stop: CancellationToken,
}

impl Loans {
    pub(crate) fn new(stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicU32::new(0),
            stop,
        })
    }

    /// An origin for so many loans, and where all their ends arrive together.
    pub(crate) fn lend(
        self: &Arc<Self>,
        count: usize,
    ) -> (Arc<dyn Origin>, oneshot::Receiver<Vec<Ended>>) {
        let this = self.clone();
        this.open
            .fetch_add(u32::try_from(count).unwrap_or(u32::MAX), Relaxed);
        let (origin, ended) = Replies::expect_as(count, move |settled| {
            this.open.fetch_sub(1, Relaxed);
            match settled {
                Settled::Retry {
                    refusal: Refusal::Abandoned,
                    ..
                } if this.stop.is_cancelled() => Err(ApiError::shutting_down()),
                settled => outcome_of(settled),
            }
        });
        (origin, ended)
    }

    /// How many actions have not come to their end.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }
}
