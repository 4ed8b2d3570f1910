//! Applies the rules to each action of a batch. Pure. It yields to other tasks every millisecond, and evaluates rules
//! that were found slow on a thread for blocking work.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::vec::IntoIter;

use acteon_core::Delivery;
use acteon_rules::{Effect, StateAnswers};
use jiff::Timestamp;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

use crate::gather::{Batch, BatchCounts};
use crate::job::{EndedJob, Job};
use crate::options::PipelineOptions;
use crate::process::Pipeline;
use crate::reserve::{Requirement, ReservingJob};
use crate::rulebook::Generation;
use crate::yielding::TimeSlice;

/// A batch after the rules.
#[derive(Default)]
pub(crate) struct Decided {
    /// Jobs that need nothing from the state.
    pub(crate) free: Vec<Box<Job>>,
    /// Jobs that need something from the state.
    pub(crate) asking: Vec<ReservingJob>,
    /// Jobs that have ended.
    pub(crate) ended: Vec<EndedJob>,
}

impl Pipeline {
    /// Decides a batch. `ended` holds the jobs that ended before.
    pub(crate) async fn decide(
        &self,
        batch: Batch,
        generation: &Arc<Generation>,
        now: Timestamp,
        ended: Vec<EndedJob>,
    ) -> Decided {
        let known = &self.parts.providers.redeliveries;
        batch.deliveries.iter().for_each(|one| known.remove(one));
        let mut deciding = Deciding {
            deliveries: batch.deliveries.into_iter(),
            gathered: batch.gathered.into_iter(),
            generation: generation.clone(),
            options: self.parts.options.clone(),
            now,
            counts: BatchCounts::default(),
            decided: Decided {
                ended,
                ..Decided::default()
            },
            errors: 0,
        };
        let mut slice = TimeSlice::begin();
        let mut steps = 0;
        while !generation.is_slow() && deciding.step() {
            steps += 1;
            if let Some(lasted) = slice.over() {
                generation.took(lasted, steps);
                slice = slice.next().await;
                steps = 0;
            }
        }
        if !deciding.is_done() {
            deciding = match spawn_blocking(|| deciding.finish()).await {
                Ok(deciding) => deciding,
                Err(ended) => resume_unwind(JoinError::into_panic(ended)),
            };
        }
        if deciding.errors > 0 {
            let rule_errors = &self.parts.counters.rule_errors;
            rule_errors.fetch_add(deciding.errors, Relaxed);
        }
        deciding.decided
    }
}

/// A batch during its decision.
struct Deciding {
    deliveries: IntoIter<Delivery>,
    gathered: IntoIter<StateAnswers>,
    generation: Arc<Generation>,
    options: PipelineOptions,
    now: Timestamp,
    counts: BatchCounts,
    decided: Decided,
    /// How often a rule could not be evaluated.
    errors: u64,
}

impl Deciding {
    fn is_done(&self) -> bool {
        self.deliveries.len() == 0
    }

    /// Decides the rest of the batch.
    fn finish(mut self) -> Self {
        let began = Instant::now();
        let actions = self.deliveries.len();
        while self.step() {}
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        self.generation.took(began.elapsed(), actions);
        self
    }

    /// Decides the next action. False if there is none.
    fn step(&mut self) -> bool {
        let Some(delivery) = self.deliveries.next() else {
            return false;
        };
        let mut known = self.gathered.next().unwrap_or_default();
        self.counts.add_to(&mut known);
        let set = &self.generation.set;
        let mut decision = set.decide(&delivery.action, self.now, &known);
        self.counts.count(&decision.notes);
        self.errors += u64::from(decision.rule_errors);
        let mut job = Job::new(delivery, self.generation.stamp);
        let plan = match &mut decision.effect {
            Effect::Deliver(plan) => Some(plan),
            Effect::Group(group) => Some(&mut group.plan),
            Effect::Suppress { .. } | Effect::Fail(_) => None,
        };
        if let Some(payload) = plan.and_then(|plan| plan.payload.take()) {
            job.modify(payload);
        }
        job.ruling.verdict = decision.verdict;
        job.ruling.matched_rule = decision.matched_rule;
        job.ruling.details = decision.details;
        job.ruling.counts = decision.notes;
        match Requirement::of(job, decision.effect, &self.options) {
            Requirement::Nothing(job) => self.decided.free.push(job),
            Requirement::End(end) => self.decided.ended.push(end),
            Requirement::Reserve(asking) => self.decided.asking.push(asking),
        }
        true
    }
}
