//! Applies the rules to each action of a batch. Pure. It yields to other tasks every millisecond, and evaluates rules
//! that were found slow on a thread for blocking work.

use std::panic::resume_unwind;
use std::sync::atomic::Ordering::Relaxed;
use std::vec::IntoIter;

use acteon_core::event_admin::is_notice_source;
use acteon_core::silence::silence_rule;
use acteon_core::state::SUMMARY_STREAM;
use acteon_core::{ActionOutcome, Delivery, Detach, Failure, FailureCode, Policy, Verdict};
use acteon_rules::{DeliveryPlan, Effect, ReportPlan, StateAnswers};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

use crate::event_report::{BatchEvents, JobReport, Reported};
use crate::gather::{Batch, BatchCounts};
use crate::groups::joining;
use crate::job::{EndedJob, Job};
use crate::machines::Machines;
use crate::options::PipelineOptions;
use crate::process::{DecisionContext, Pipeline};
use crate::reserve::{Planned, Requirement, ReservingJob};
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
    /// Deliveries that need new answers of the state, because an event has ended earlier in the batch.
    pub(crate) rest: Vec<Delivery>,
}

impl Pipeline {
    /// Decides a batch. `ended` holds the jobs that ended before.
    pub(crate) async fn decide(
        &self,
        batch: Batch,
        context: &DecisionContext,
        ended: Vec<EndedJob>,
    ) -> Decided {
        let generation = &context.generation;
        let known = &self.parts.providers.redeliveries;
        batch.deliveries.iter().for_each(|one| known.remove(one));
        let mut deciding = Deciding {
            deliveries: batch.deliveries.into_iter(),
            gathered: batch.gathered.into_iter(),
            context: context.clone(),
            options: self.parts.options.clone(),
            state_now: batch.now,
            counts: BatchCounts::default(),
            events: BatchEvents::default(),
            machines: self.parts.machines.clone(),
            decided: Decided {
                ended,
                ..Decided::default()
            },
            is_cut: false,
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
        let mut decided = deciding.decided;
        decided.rest = deciding.deliveries.collect();
        // They wait while those before them are delivered.
        decided.rest.iter_mut().for_each(|rest| rest.detach());
        decided
    }
}

/// A batch during its decision.
struct Deciding {
    deliveries: IntoIter<Delivery>,
    gathered: IntoIter<StateAnswers>,
    context: DecisionContext,
    options: PipelineOptions,
    /// By the state's clock, for decisions about events.
    state_now: Timestamp,
    counts: BatchCounts,
    events: BatchEvents,
    machines: Machines,
    decided: Decided,
    /// Whether the rest of the batch needs new answers of the state.
    is_cut: bool,
    /// How often a rule could not be evaluated.
    errors: u64,
}

impl Deciding {
    fn is_done(&self) -> bool {
        self.is_cut || self.deliveries.len() == 0
    }

    /// Decides the rest of the batch.
    fn finish(mut self) -> Self {
        let began = Instant::now();
        let actions = self.deliveries.len();
        while self.step() {}
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        self.context.generation.took(began.elapsed(), actions);
        self
    }

    /// Decides the next action. False if there is none, or if it needs new answers of the state.
    fn step(&mut self) -> bool {
        let mut known = self.gathered.next().unwrap_or_default();
        self.is_cut |= self.events.outdates(&known);
        if self.is_cut {
            return false;
        }
        let Some(delivery) = self.deliveries.next() else {
            return false;
        };
        self.counts.add_to(&mut known);
        self.events.add_to(&mut known);
        if is_decided(&delivery) {
            let job = Job::new(delivery, self.context.generation.stamp);
            self.decided.free.push(job);
            return true;
        }
        let set = &self.context.generation.set;
        let mut decision = set.decide(&delivery.action, self.context.now, &known);
        self.counts.count(&decision.notes);
        self.errors += u64::from(decision.rule_errors);
        let mut job = Job::new(delivery, self.context.generation.stamp);
        job.later_ones = self.deliveries.len();
        job.ruling.verdict = decision.verdict;
        job.ruling.matched_rule = decision.matched_rule;
        job.ruling.details = decision.details;
        job.ruling.counts = decision.notes;
        if let Effect::Suppress { rule } = &decision.effect
            && let Some(report) = self.announced_end(&job, &known, rule)
        {
            job.record_rule(Verdict::StateMachine, &report.rule);
            decision.effect = Effect::Report(report);
        }
        if !self.context.silences.is_empty() {
            self.silence(&mut job, &mut decision.effect);
        }
        // The plan is large, so the most frequent case leaves it in place.
        if let Effect::Deliver(plan) = &mut decision.effect
            && plan.gates.reservation.is_empty()
            && !job.delivery.id_given
        {
            plan.payload
                .take()
                .into_iter()
                .for_each(|payload| job.modify(payload));
            let target = plan.provider.take();
            target.into_iter().for_each(|target| job.redirect(target));
            self.decided.free.push(job);
            return true;
        }
        let planned = self.plan(&mut job, decision.effect);
        match Requirement::of(job, planned, &self.options) {
            Requirement::Nothing(job) => self.decided.free.push(job),
            Requirement::End(end) => self.decided.ended.push(end),
            Requirement::Reserve(asking) => self.decided.asking.push(asking),
        }
        true
    }

    /// The report behind the rule that suppressed the action, if it announces the end of an event whose beginning was
    /// announced. Inhibition does not withhold that.
    fn announced_end(
        &self,
        job: &Job,
        known: &StateAnswers,
        by: &CompactString,
    ) -> Option<Box<ReportPlan>> {
        let action = &job.delivery.action;
        let DecisionContext {
            generation, now, ..
        } = &self.context;
        let report = generation.set.inhibited_report(action, *now, known, by)?;
        let machine = self.machines.get(&report.machine)?;
        let own = JobReport::new(machine.clone(), &report, action, self.state_now);
        let present = report.present.as_deref();
        let is_end = self.events.announces_end(&own, action, present);
        is_end.then_some(report)
    }

    /// Withholds a delivery that a silence matches. Groups ask silences when they are flushed, events for their notices.
    fn silence(&self, job: &mut Job, effect: &mut Effect) {
        let Effect::Deliver(plan) = effect else {
            return;
        };
        let action = &job.delivery.action;
        let target = plan.provider.as_ref().unwrap_or(&action.provider);
        if let Some(silence) = self.context.silences.find_for(action, target) {
            let rule = silence_rule(&silence);
            job.record_rule(Verdict::Suppress, &rule);
            *effect = Effect::Suppress { rule };
        }
    }

    /// What the action needs for this effect.
    fn plan(&mut self, job: &mut Job, effect: Effect) -> Planned {
        match effect {
            Effect::Deliver(plan) => Planned::delivery(modified(job, plan)),
            Effect::Suppress { rule } => Planned::end(ActionOutcome::Suppressed { rule }),
            Effect::Fail(failure) => Planned::end(ActionOutcome::Failed(failure)),
            Effect::Report(report) => self.report(job, *report),
            Effect::Group(mut group) => {
                group.plan = modified(job, std::mem::take(&mut group.plan));
                Planned::delivery(joining(job, *group))
            }
        }
    }

    /// Lets the machine step the event that an action reports.
    fn report(&mut self, job: &mut Job, mut report: ReportPlan) -> Planned {
        let Some(machine) = self.machines.get(&report.machine) else {
            let message =
                format_compact!("the state machine \"{}\" is not configured", report.machine);
            return Planned::end(ActionOutcome::Failed(misconfigured(message)));
        };
        let own = JobReport::new(
            machine.clone(),
            &report,
            &job.delivery.action,
            self.state_now,
        );
        let silence = (self.context.silences).find_for(&job.delivery.action, &own.provider);
        job.report = Some(Box::new(JobReport { silence, ..own }));
        let plan = std::mem::take(&mut report.plan);
        let mut plan = DeliveryPlan {
            provider: None,
            ..modified(job, plan)
        };
        let present = report.present.as_deref();
        match self.events.apply(job, present, &mut plan.gates) {
            Some(Reported::End(outcome)) => Planned::report(plan, Some(outcome)),
            Some(Reported::Notice) | None => Planned::report(plan, None),
        }
    }
}

/// True for a replayed summary or notice. Rules have decided about the actions that it is made of.
fn is_decided(delivery: &Delivery) -> bool {
    let stream = delivery.position.stream.strip_prefix("replay:");
    let is_own = |stream: &str| stream.starts_with(SUMMARY_STREAM) || is_notice_source(stream);
    delivery.policy == Policy::Replay && stream.is_some_and(is_own)
}

/// The plan, after its payload has become that of the job.
fn modified(job: &mut Job, mut plan: DeliveryPlan) -> DeliveryPlan {
    if let Some(payload) = plan.payload.take() {
        job.modify(payload);
    }
    plan
}

fn misconfigured(message: CompactString) -> Failure {
    Failure {
        code: FailureCode::Configuration,
        message,
        retryable: false,
        attempts: 0,
    }
}
