//! The story of a batch: gather, decide, reserve, deliver, settle. Each step takes the whole batch; results stay per action.

use std::sync::Arc;

use acteon_core::redelivery::Redeliveries;
use acteon_core::{
    ActionOutcome, Clock, Counters, Delivery, Failure, Feed, Intake, Loan, Poison, Redactor, State,
    Trail,
};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::dead_letters::Unstored;
use crate::dedup::Waiting;
use crate::hold::Holds;
use crate::job::Job;
use crate::options::PipelineOptions;
use crate::pace::Pace;
use crate::provider::Providers;
use crate::rulebook::Rules;
use crate::tasks::Tasks;

/// Takes batches from sources and sees each action through to its end.
pub struct Pipeline {
    pub(crate) parts: Parts,
    pub(crate) holds: Arc<Holds>,
    pub(crate) waiting: Waiting,
    pub(crate) pace: Pace,
    pub(crate) unstored: Unstored,
    pub(crate) tasks: Tasks,
    pub(crate) closing: CancellationToken,
}

#[async_trait]
impl Intake for Pipeline {
    async fn submit(&self, batch: Vec<Delivery>, feed: &Feed) {
        let generation = self.parts.rules.generation();
        let now = self.parts.clock.now();
        let mut ended = Vec::with_capacity(batch.len());
        let batch = self.gather(batch, &generation, now, &mut ended).await;
        let decided = self.decide(batch, &generation, now, ended).await;
        let ended = self.deliver(decided.free, decided.ended, Some(feed)).await;
        let ended = self
            .reserve_and_deliver(decided.asking, ended, Some(feed))
            .await;
        self.settle(ended).await;
    }

    async fn bury(&self, poison: Vec<Loan<Poison>>) {
        self.bury_poison(poison).await;
    }

    async fn give_up(&self, delivery: Delivery, why: Failure) {
        let generation = self.parts.rules.generation();
        self.parts.providers.redeliveries.came(&delivery);
        let job = Job::new(delivery, generation.stamp);
        let failure = Failure {
            retryable: false,
            ..why
        };
        let ended = job.ended(ActionOutcome::Failed(failure));
        self.settle(vec![ended]).await;
    }
}

/// What the pipeline is made of.
pub struct Parts {
    /// Its settings.
    pub options: PipelineOptions,
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// Who delivers.
    pub providers: Arc<Providers>,
    /// What all instances share.
    pub state: Arc<dyn State>,
    /// Where records go; `None`: there is no audit trail.
    pub trail: Option<Arc<dyn Trail>>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What records hide.
    pub redactor: Redactor,
    /// The time.
    pub clock: Clock,
}

impl Pipeline {
    /// Puts the parts together. Nothing runs yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            holds: Arc::default(),
            waiting: Waiting::default(),
            pace: Pace::default(),
            unstored: Unstored::default(),
            tasks: Tasks::default(),
            closing: CancellationToken::new(),
        })
    }

    /// What waits to be tried again, as far as this process knows.
    pub fn redeliveries(&self) -> Arc<dyn Redeliveries> {
        self.parts.providers.redeliveries.clone()
    }
}
