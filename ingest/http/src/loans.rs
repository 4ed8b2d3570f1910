//! The actions of callers who wait: how many are on loan, and what each end is as an answer. A provider's answer pays for
//! its memory until the client has read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use acteon_connect_http::ApiError;
use acteon_core::delivery::{Origin, Settled};
use acteon_core::reply::Replies;
use acteon_core::{ActionOutcome, Admission, Permit, Refusal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::answer::outcome_of;

/// A provider's body up to here is not paid for: the room that is given back with the action was larger.
const UNPAID_BYTES_MAX: usize = 512;

/// How an action ended, as its caller is told.
pub(crate) struct Ended {
    pub(crate) outcome: Result<ActionOutcome, ApiError>,
    /// Room for the provider's body.
    pub(crate) room: Option<Permit>,
    pub(crate) told: Told,
}

/// How often a caller was answered so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// This is the first time.
    First,
    /// It is what was answered before.
    Again,
}

impl Ended {
    /// With room for the body of the outcome, or a short body in its place where there is no room.
    fn paid(outcome: Result<ActionOutcome, ApiError>, admission: &Arc<Admission>) -> Self {
        let bytes = outcome.as_ref().map_or(0, ActionOutcome::body_bytes);
        if bytes <= UNPAID_BYTES_MAX {
            return outcome.into();
        }
        match admission.try_admit(0, bytes as u64) {
            None => outcome.map(|outcome| outcome.abridged()).into(),
            room => Self {
                room,
                ..outcome.into()
            },
        }
    }
}

impl From<Result<ActionOutcome, ApiError>> for Ended {
    fn from(outcome: Result<ActionOutcome, ApiError>) -> Self {
        Self {
            outcome,
            room: None,
            told: Told::First,
        }
    }
}

/// All loans of the source.
pub(crate) struct Loans {
    admission: Arc<Admission>,
    open: AtomicU32,
    /// Once cancelled, whoever gives an action up does so because the process ends.
    stop: CancellationToken,
}

impl Loans {
    pub(crate) fn new(admission: Arc<Admission>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            admission,
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
                } if this.stop.is_cancelled() => Err(ApiError::shutting_down()).into(),
                settled => {
                    let told = match settled {
                        Settled::Remembered(_) => Told::Again,
                        _ => Told::First,
                    };
                    let ended = Ended::paid(outcome_of(settled), &this.admission);
                    Ended { told, ..ended }
                }
            }
        });
        (origin, ended)
    }

    /// How many actions have not come to their end.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }
}
