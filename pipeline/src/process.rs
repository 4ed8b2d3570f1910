//! The story of a batch: gather, decide, reserve, deliver, settle. Each step takes the whole batch; results stay per action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::{
    ActionOutcome, Clock, Counters, Delivery, Failure, FailureCode, Feed, Intake, Loan, Poison,
    Redactor, Refusal, State, Trail,
};
use acteon_rules::Effect;
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::gather::{Batch, Noted};
use crate::job::{Ended, Job};
use crate::leases::Leases;
use crate::options::PipelineOptions;
use crate::provider::{Answered, Begun, Lane, Next, Provider, Providers, Visits, Work};
use crate::reserve::{Asking, Need};
use crate::rulebook::{Generation, Rules};
use crate::waiting::WaitingRoom;

/// How long a source waits before it offers again what found a full queue.
const OVERLOAD_WAIT: Duration = Duration::from_secs(1);

/// Takes batches from sources and sees each action through to its end.
pub struct Pipeline {
    pub(crate) parts: Parts,
    pub(crate) leases: Arc<Leases>,
    pub(crate) waiting: WaitingRoom,
    pub(crate) closing: CancellationToken,
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
    /// Those that the rules have ended.
    ended: Vec<Ended>,
}

impl Pipeline {
    /// Puts the parts together. Nothing runs yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            leases: Arc::default(),
            waiting: WaitingRoom::default(),
            closing: CancellationToken::new(),
        })
    }

    /// Runs the providers' tasks, the renewal of leases and the waiting room until `closing`. What is unfinished then
    /// goes back to its source.
    pub async fn run(self: Arc<Self>, closing: CancellationToken) {
        let mut tasks = JoinSet::new();
        for provider in self.parts.providers.all() {
            if let Some(lane) = Lane::new(self.clone(), provider.clone()) {
                tasks.spawn(lane.run(closing.clone()));
            }
        }
        let keeping = self
            .leases
            .renew(&*self.parts.state, self.parts.options.lease);
        tokio::select! {
            () = closing.cancelled() => {}
            () = keeping => {}
            () = self.wait_turns() => {}
        }
        self.closing.cancel();
        let parked = self.waiting.empty();
        self.give_back(parked).await;
        while tasks.join_next().await.is_some() {}
    }

    /// What the rules say of each action. Pure but for the counting of errors.
    fn decide(&self, batch: Batch, generation: &Generation, now: Timestamp) -> Decided {
        let (mut errors, mut decided) = (0, Decided::default());
        let (mut noted, mut gathered) = (Noted::default(), batch.gathered.into_iter());
        decided.ended.reserve(batch.deliveries.len());
        for delivery in batch.deliveries {
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
            job.verdict = decision.verdict;
            job.matched_rule = decision.matched_rule;
            job.verdict_details = decision.details;
            job.notes = decision.notes;
            match Need::of(job, decision.effect, &self.parts.options) {
                Need::Nothing(job) => decided.free.push(job),
                Need::End(end) => decided.ended.push(end),
                Need::Reserve(asking) => decided.asking.push(asking),
            }
        }
        if errors > 0 {
            self.parts.counters.rule_errors.fetch_add(errors, Relaxed);
        }
        decided
    }

    /// Reserves what these need and begins what is granted; returns what has ended, beside what had already.
    pub(crate) async fn reserve_and_begin(
        &self,
        asking: Vec<Asking>,
        mut ended: Vec<Ended>,
    ) -> Vec<Ended> {
        let granted = self.reserve(asking, &mut ended).await;
        self.begin(granted, &mut ended).await;
        ended
    }

    /// Has providers deliver these: what a sink does without waiting is done here, the rest goes to its provider's lane.
    async fn begin(&self, jobs: Vec<Box<Job>>, ended: &mut Vec<Ended>) {
        let mut visits = Visits::default();
        for job in jobs {
            let Some(provider) = self.parts.providers.get(&job.target) else {
                ended.push(without_provider(job));
                continue;
            };
            let visit = visits.at(provider, &self.leases);
            match visit.begin(job).await {
                Begun::Landed(landed) => match visit.landed(landed) {
                    Next::Ended(done) => ended.push(done),
                    Next::Again(job, wait) => {
                        provider.enter_again();
                        self.hand(provider, Work::Again(job, Instant::now() + wait));
                    }
                },
                Begun::Flying(flight) => self.hand(provider, Work::Flight(flight)),
                Begun::Later(job) => {
                    visits.end();
                    self.queue(provider, job).await;
                }
                Begun::Refused(job) => self.divert(job, ended),
            }
        }
    }

    /// Lets a job wait for its turn, if there is a place for it.
    async fn queue(&self, provider: &Provider, job: Box<Job>) {
        let answered = if job.delivery.policy.is_answered() {
            Answered::Yes
        } else {
            Answered::No
        };
        if provider.enter(answered).await {
            self.hand(provider, Work::Job(job));
        } else {
            self.send_back(job, OVERLOAD_WAIT, Refusal::Overloaded)
                .await;
        }
    }

    /// Hands work to a provider's lane. Only a lane that has ended refuses, and then the process is stopping.
    fn hand(&self, provider: &Provider, mut work: Work) {
        if let Work::Job(job) | Work::Again(job, _) = &mut work {
            job.detach();
            if let Some(lease) = &mut job.lease {
                lease.keep(&self.leases);
            }
        }
        if let Err(Work::Job(job) | Work::Again(job, _)) = provider.hand(work) {
            job.retry(Duration::ZERO, Refusal::ShuttingDown);
        }
    }

    /// Takes a job to the next provider of the fallback chain, or ends it at the open breaker.
    pub(crate) fn divert(&self, mut job: Box<Job>, ended: &mut Vec<Ended>) {
        job.refused_by.push(job.target.clone());
        let next = self.parts.providers.get(&job.target).and_then(|refusing| {
            let name = refusing.options.fallback.as_ref()?;
            let fallback = self.parts.providers.get(name)?;
            (!job.refused_by.contains(name)).then_some(fallback)
        });
        match next {
            None => ended.push(at_open_breaker(job)),
            Some(provider) if provider.try_enter() => {
                job.redirect(provider.name().clone());
                self.hand(provider, Work::Job(job));
            }
            // The chain ends at a full queue: nothing final, so the source offers it again.
            Some(_) => job.retry(OVERLOAD_WAIT, Refusal::Overloaded),
        }
    }
}

#[async_trait]
impl Intake for Pipeline {
    async fn submit(&self, batch: Vec<Delivery>, _feed: &Feed) {
        let generation = self.parts.rules.generation();
        let now = self.parts.clock.now();
        let batch = self.gather(batch, &generation, now).await;
        let Decided {
            free,
            asking,
            mut ended,
        } = self.decide(batch, &generation, now);
        self.begin(free, &mut ended).await;
        let ended = self.reserve_and_begin(asking, ended).await;
        self.settle(ended).await;
    }

    async fn bury(&self, poison: Vec<Loan<Poison>>) {
        self.bury_poison(poison).await;
    }
}

fn without_provider(job: Box<Job>) -> Ended {
    let message = format!("no provider is named \"{}\"", job.target);
    let failure = Failure {
        code: FailureCode::ProviderNotFound,
        message: message.into(),
        retryable: false,
        attempts: 0,
    };
    job.ended(ActionOutcome::Failed(failure))
}

fn at_open_breaker(job: Box<Job>) -> Ended {
    let mut refused_by = job.refused_by.iter().cloned();
    let provider = refused_by.next().unwrap_or_default();
    let fallback_chain = refused_by.collect();
    job.ended(ActionOutcome::CircuitOpen {
        provider,
        fallback_chain,
    })
}
