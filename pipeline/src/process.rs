//! The story of a batch: gather, decide, reserve, deliver, settle. Each step takes the whole batch; results stay per action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use acteon_core::redelivery::Redeliveries;
use acteon_core::{
    ActionOutcome, Clock, Counters, Delivery, Failure, Feed, Intake, Loan, Poison, Redactor, State,
    Trail,
};
use acteon_rules::Effect;
use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::dead_letters::Unstored;
use crate::dedup::Waiting;
use crate::gather::{Batch, Noted};
use crate::hold::Holds;
use crate::job::{Ended, Job};
use crate::options::PipelineOptions;
use crate::pace::Pace;
use crate::provider::Providers;
use crate::reserve::{Asking, Need};
use crate::rulebook::{Generation, Rules};
use crate::tasks::Tasks;
use crate::yielding::TimeSlice;

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

/// A batch after the rules.
#[derive(Default)]
struct Decided {
    /// Those that need nothing more.
    free: Vec<Box<Job>>,
    /// Those that need something from the state.
    asking: Vec<Asking>,
    /// Those that have ended.
    ended: Vec<Ended>,
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

    /// What the rules say of each action. Pure but for the counting of errors, and for letting others run.
    async fn decide(
        &self,
        batch: Batch,
        generation: &Arc<Generation>,
        now: Timestamp,
        ended: Vec<Ended>,
    ) -> Decided {
        let mut decided = Decided {
            ended,
            ..Decided::default()
        };
        let (mut errors, mut noted) = (0, Noted::default());
        let (mut gathered, mut slice) = (batch.gathered.into_iter(), TimeSlice::begin());
        for delivery in batch.deliveries {
            self.parts.providers.redeliveries.came(&delivery);
            let mut known = gathered.next().unwrap_or_default();
            noted.tell(&mut known);
            let mut decision = generation.set.decide(&delivery.action, now, &known);
            noted.note(&decision.notes);
            errors += u64::from(decision.rule_errors);
            let mut job = Job::new(delivery, generation.stamp);
            if let Effect::Deliver(plan) = &mut decision.effect
                && let Some(payload) = plan.payload.take()
            {
                job.modify(payload);
            }
            job.ruling.verdict = decision.verdict;
            job.ruling.matched_rule = decision.matched_rule;
            job.ruling.details = decision.details;
            job.ruling.notes = decision.notes;
            match Need::of(job, decision.effect, &self.parts.options) {
                Need::Nothing(job) => decided.free.push(job),
                Need::End(end) => decided.ended.push(end),
                Need::Reserve(asking) => decided.asking.push(asking),
            }
            slice.yield_when_over().await;
        }
        if errors > 0 {
            self.parts.counters.rule_errors.fetch_add(errors, Relaxed);
        }
        decided
    }
}
