//! The HTTP source as a whole, from start to shutdown.

use std::sync::Arc;

use acteon_core::health::Part;
use acteon_core::source::SourceError;
use acteon_core::{Shutdown, Source};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batcher::Batcher;
use crate::config::HttpContext;
use crate::events;
use crate::loans::CallerLoans;

/// The source behind `POST /v1/dispatch` and `POST /v1/dispatch/batch`.
pub struct HttpSource {
    pub(crate) context: HttpContext,
    /// Tracks every request whose body has arrived, and every task that submits actions.
    pub(crate) work: TaskTracker,
    pub(crate) batcher: Arc<Batcher>,
    pub(crate) loans: Arc<CallerLoans>,
    /// The name of the source in positions, shared by all actions.
    pub(crate) stream: Arc<str>,
    abandoned: CancellationToken,
}

impl HttpSource {
    /// A source that accepts requests at once. [`Source::run`] waits until their work is finished.
    pub fn new(context: HttpContext) -> Arc<Self> {
        events::describe();
        let work = TaskTracker::new();
        let abandoned = CancellationToken::new();
        let batcher = Batcher::new(
            context.intake.clone(),
            context.max_batch,
            work.clone(),
            abandoned.clone(),
        );
        Arc::new(Self {
            loans: CallerLoans::new(context.admission.clone(), context.stop.clone()),
            context,
            work,
            batcher,
            stream: "http".into(),
            abandoned,
        })
    }

    /// How many actions of callers are not settled yet. Nothing redelivers them if the process ends now.
    pub fn actions_in_flight(&self) -> u32 {
        self.loans.open()
    }
}

#[async_trait]
impl Source for HttpSource {
    /// Waits for the stop signal, then until every accepted request is answered and all actions are submitted.
    async fn run(&self, shutdown: Shutdown) -> Result<(), SourceError> {
        shutdown.stop.cancelled().await;
        self.work.close();
        tokio::select! {
            () = self.work.wait() => events::drained(),
            () = shutdown.abandon.cancelled() => {
                events::abandoned(self.loans.open());
                self.abandoned.cancel();
            }
        }
        Ok(())
    }

    /// Always ready, because it connects to nothing.
    fn readiness(&self) -> Part {
        Part::ready("source:http")
    }
}
