//! The HTTP source as a whole: its routes, and its life from start to shutdown.

use std::sync::Arc;

use acteon_core::health::Part;
use acteon_core::source::SourceError;
use acteon_core::{Shutdown, Source};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

use crate::config::HttpContext;
use crate::gather::Gather;
use crate::loans::Loans;
use crate::{events, openapi};

/// The source behind `POST /v1/dispatch` and `POST /v1/dispatch/batch`.
pub struct HttpSource {
    pub(crate) context: HttpContext,
    /// Holds every request that is past its body, and every task that hands in.
    pub(crate) work: TaskTracker,
    pub(crate) gather: Arc<Gather>,
    pub(crate) loans: Arc<Loans>,
    /// The name of the source in positions; one for all actions.
    pub(crate) stream: Arc<str>,
    abandoned: CancellationToken,
}

impl HttpSource {
    /// A source that takes requests at once. [`Source::run`] waits for the end of what it has begun.
    pub fn new(context: HttpContext) -> Arc<Self> {
        events::begin();
        let work = TaskTracker::new();
        let abandoned = CancellationToken::new();
        let gather = Gather::new(
            context.intake.clone(),
            context.max_batch,
            work.clone(),
            abandoned.clone(),
        );
        Arc::new(Self {
            loans: Loans::new(context.admission.clone(), context.stop.clone()),
            context,
            work,
            gather,
            stream: "http".into(),
            abandoned,
        })
    }

    /// How many actions of callers have not come to their end: what is cut off now does not come back from anywhere.
    pub fn actions_in_flight(&self) -> u32 {
        self.loans.open()
    }

    /// The routes with their documentation, to be merged into a router with the manners of the API.
    pub fn routes(self: &Arc<Self>) -> OpenApiRouter {
        openapi::routes().with_state(self.clone())
    }
}

#[async_trait]
impl Source for HttpSource {
    /// Waits for the stop, then until every request that was taken is answered and all its work is handed in.
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

    /// Always ready: it has nothing to connect to.
    fn readiness(&self) -> Part {
        Part::ready("source:http")
    }
}
