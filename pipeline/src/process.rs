//! The steps of a batch: gather, decide, reserve, deliver, settle. Each step takes the whole batch. Results are per
//! action.

use std::sync::Arc;

use acteon_core::redelivery::Redeliveries;
use acteon_core::{
    ActionOutcome, Admission, Clock, Counters, Delivery, Failure, Feed, Intake, Loan, Poison,
    Redactor, State, Trail,
};
use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::dead_letters::UnstoredLetters;
use crate::dedup::KeyWaiters;
use crate::event_delivery::Notices;
use crate::events::{self, EndMetrics};
use crate::groups::Flushes;
use crate::hold::OpenHolds;
use crate::job::Job;
use crate::machines::Machines;
use crate::options::{OnStateError, PipelineOptions};
use crate::provider::Providers;
use crate::return_times::ReturnTimes;
use crate::rulebook::{Generation, Rules};
use crate::scheduler::Scheduler;
use crate::silences::SilenceView;
use crate::tasks::Tasks;

/// Takes batches from sources and processes each action to its end.
pub struct Pipeline {
    pub(crate) parts: PipelineParts,
    pub(crate) holds: Arc<OpenHolds>,
    pub(crate) waiting: KeyWaiters,
    pub(crate) return_times: ReturnTimes,
    pub(crate) unstored: UnstoredLetters,
    pub(crate) ends: EndMetrics,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) flushes: Arc<Flushes>,
    pub(crate) notices: Arc<Notices>,
    /// For notices, which take no room from the sources.
    pub(crate) uncounted: Arc<Admission>,
    pub(crate) tasks: Tasks,
    pub(crate) closing: CancellationToken,
}

#[async_trait]
impl Intake for Pipeline {
    async fn submit(&self, batch: Vec<Delivery>, feed: &Feed) {
        let mut rest = batch;
        while !rest.is_empty() {
            rest = self.process(rest, feed).await;
        }
    }

    async fn dead_letter(&self, poison: Vec<Loan<Poison>>) {
        self.dead_letter_poison(poison).await;
    }

    async fn give_up(&self, delivery: Delivery, why: Failure) {
        let generation = self.parts.rules.generation();
        self.parts.providers.redeliveries.remove(&delivery);
        let job = Job::new(delivery, generation.stamp);
        let failure = Failure {
            retryable: false,
            ..why
        };
        let ended = job.ended(ActionOutcome::Failed(failure));
        self.settle(vec![ended]).await;
    }
}

impl Pipeline {
    /// Processes a batch. Returns those at its end that need new answers of the state.
    async fn process(&self, batch: Vec<Delivery>, feed: &Feed) -> Vec<Delivery> {
        let generation = self.parts.rules.generation();
        let now = self.parts.clock.now();
        let mut ended = Vec::with_capacity(batch.len());
        let Some(silences) = self.silences_for(&batch).await else {
            let jobs = batch
                .into_iter()
                .map(|delivery| Job::new(delivery, generation.stamp));
            ended.extend(jobs.map(|job| self.state_unavailable(job)));
            self.settle(ended).await;
            return Vec::new();
        };
        let batch = self.gather(batch, &generation, now, &mut ended).await;
        let context = DecisionContext {
            generation,
            silences,
            now,
        };
        let decided = self.decide(batch, &context, ended).await;
        let (free, ordered) = self.parts.providers.part_ordered(decided.free);
        let ended = self.deliver(free, decided.ended, Some(feed)).await;
        let ended = self
            .reserve_and_deliver(decided.asking, ordered, ended, Some(feed))
            .await;
        self.settle(ended).await;
        decided.rest
    }
}

impl Pipeline {
    /// The silences by which to decide a batch. `None`: the state, which was not read yet, does not answer, and nothing
    /// may be delivered without it.
    async fn silences_for(&self, batch: &[Delivery]) -> Option<Arc<SilenceView>> {
        match self.parts.rules.silences().current().await {
            Ok(view) => Some(view),
            Err(error) => {
                events::state_unavailable(&error, batch.len());
                let delivers = self.parts.options.on_state_error == OnStateError::Deliver;
                delivers.then(SilenceView::empty)
            }
        }
    }
}

/// By what a batch is decided.
#[derive(Clone)]
pub(crate) struct DecisionContext {
    pub(crate) generation: Arc<Generation>,
    pub(crate) silences: Arc<SilenceView>,
    pub(crate) now: Timestamp,
}

/// The parts of a pipeline.
pub struct PipelineParts {
    /// Its settings.
    pub options: PipelineOptions,
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// The configured providers.
    pub providers: Arc<Providers>,
    /// The configured state machines.
    pub machines: Machines,
    /// The state that all instances share.
    pub state: Arc<dyn State>,
    /// Where audit records go; `None`: no audit trail.
    pub trail: Option<Arc<dyn Trail>>,
    /// The counters of outcomes.
    pub counters: Arc<Counters>,
    /// Hides fields in audit records.
    pub redactor: Redactor,
    /// Where to ask for room for summaries.
    pub admission: Arc<Admission>,
    /// The time.
    pub clock: Clock,
}

impl Pipeline {
    /// Assembles the parts. Nothing runs yet.
    pub fn new(parts: PipelineParts) -> Arc<Self> {
        let scheduler = Arc::<Scheduler>::default();
        Arc::new(Self {
            flushes: Arc::new(Flushes::new(scheduler.clone())),
            notices: Arc::new(Notices::new(scheduler.clone())),
            scheduler,
            ends: EndMetrics::new(&parts.options.sources),
            parts,
            holds: Arc::default(),
            waiting: KeyWaiters::default(),
            return_times: ReturnTimes::default(),
            unstored: UnstoredLetters::default(),
            uncounted: Admission::new(u32::MAX, u64::MAX),
            tasks: Tasks::default(),
            closing: CancellationToken::new(),
        })
    }

    /// The actions waiting for redelivery, as far as this process knows.
    pub fn redeliveries(&self) -> Arc<dyn Redeliveries> {
        self.parts.providers.redeliveries.clone()
    }
}
