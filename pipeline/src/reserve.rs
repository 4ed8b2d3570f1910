//! Makes one call to the state for everything that a batch needs, and applies the answers to each action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::state::{
    Grant, Recall, Reservation, ReservationAnswer, StateKey, StepAnswer, Token,
};
use acteon_core::{ActionOutcome, Detach, FailureCode, Feed, Policy, Refusal, StateError};
use acteon_rules::{DeliveryPlan, Effect, Gates};
use tokio::time::Instant;

use crate::dedup::duplicate;
use crate::events;
use crate::groups::{grouped, joining};
use crate::hold::{Hold, HoldsHandle};
use crate::job::{EndedJob, Job, identity};
use crate::options::{OnStateError, PipelineOptions};
use crate::process::Pipeline;
use crate::provider::{QueuePlace, WhenOpen};
use crate::throttle::{gates_to_ask_again, reroute_when_full, throttled};

/// How long a source waits before it resubmits actions after the state gave no answer.
pub(crate) const STATE_WAIT: Duration = Duration::from_secs(1);
/// How long a broker's action waits for the state in its source. After that it goes to the delayed path.
const STATE_RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a job needs before it can continue.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made, and a box would be one allocation more for each action"
)]
pub(crate) enum Requirement {
    /// Nothing. It can be delivered.
    Nothing(Box<Job>),
    /// Nothing. The rules ended it.
    End(EndedJob),
    /// A reservation in the state.
    Reserve(ReservingJob),
}

/// A job and the reservation it needs.
pub(crate) struct ReservingJob {
    pub(crate) job: Box<Job>,
    pub(crate) gates: Gates,
    /// The outcome, if the rules ended the job. It then needs no provider.
    end: Option<ActionOutcome>,
    /// Its place in its provider's queue, if it asks again from there.
    pub(crate) place: Option<(QueuePlace, WhenOpen)>,
    /// The deadline for waiting on another holder's lease. Set when it first has to wait.
    pub(crate) deadline: Option<Instant>,
    /// How often it found the key still held.
    pub(crate) checks: u32,
}

impl Detach for ReservingJob {
    fn detach(&mut self) {
        self.job.detach();
    }
}

/// A job that holds everything it needs.
pub(crate) struct GrantedJob {
    pub(crate) job: Box<Job>,
    pub(crate) place: Option<(QueuePlace, WhenOpen)>,
}

impl Requirement {
    pub(crate) fn of(mut job: Box<Job>, mut effect: Effect, options: &PipelineOptions) -> Self {
        // The plan is large, so the most frequent case leaves it in place.
        if let Effect::Deliver(plan) = &mut effect
            && plan.gates.reservation.is_empty()
            && !job.delivery.id_given
        {
            let target = plan.provider.take();
            target.into_iter().for_each(|target| job.redirect(target));
            return Self::Nothing(job);
        }
        let mut step = None;
        let plan = match effect {
            Effect::Deliver(plan) => Ok(plan),
            Effect::Suppress { rule } => Err(ActionOutcome::Suppressed { rule }),
            Effect::Fail(failure) => Err(ActionOutcome::Failed(failure)),
            Effect::Group(group) => {
                let (joining, plan) = joining(&job, *group);
                step = Some(joining);
                Ok(plan)
            }
        };
        // A job whose caller waits is reserved under its id even if the rules ended it: its answer may be remembered.
        let mut by_id = match job.is_answered() || plan.is_ok() {
            true => by_id(&job, options),
            false => Reservation::default(),
        };
        by_id.step = step;
        let plan = plan.map(|plan| without_own_claims(&job, plan));
        match plan {
            Ok(plan) if by_id.is_empty() && plan.gates.reservation.is_empty() => {
                let target = plan.provider;
                target.into_iter().for_each(|target| job.redirect(target));
                Self::Nothing(job)
            }
            Err(outcome) if by_id.is_empty() => Self::End(job.ended(outcome)),
            plan => Self::Reserve(ReservingJob::new(job, plan, by_id)),
        }
    }
}

/// Removes the dedup keys from the plan of a partly delivered action. They were confirmed when a provider accepted the
/// first part, so the action would be a duplicate of itself.
fn without_own_claims(job: &Job, mut plan: DeliveryPlan) -> DeliveryPlan {
    if job.delivery.is_partly_delivered() {
        plan.gates.reservation.claims.clear();
        plan.gates.claim_rules.clear();
    }
    plan
}

impl ReservingJob {
    fn new(
        mut job: Box<Job>,
        plan: Result<DeliveryPlan, ActionOutcome>,
        by_id: Reservation,
    ) -> Self {
        let mut gates = Gates::default();
        let mut end = None;
        match plan {
            Ok(plan) => {
                plan.provider
                    .into_iter()
                    .for_each(|target| job.redirect(target));
                gates = plan.gates;
            }
            Err(outcome) => end = Some(outcome),
        }
        gates.reservation.lease = by_id.lease;
        gates.reservation.recall = by_id.recall;
        gates.reservation.step = by_id.step;
        Self {
            job,
            gates,
            end,
            place: None,
            deadline: None,
            checks: 0,
        }
    }

    /// Takes its reservation out to ask for it, under a new name.
    fn named(&mut self) -> Reservation {
        let mut reservation = std::mem::take(&mut self.gates.reservation);
        reservation.token = Token::random();
        reservation
    }

    /// A job that released its holds and asks for them again.
    pub(crate) fn again(job: Box<Job>, gates: Gates, place: (QueuePlace, WhenOpen)) -> Self {
        Self {
            job,
            gates,
            end: None,
            place: Some(place),
            deadline: None,
            checks: 0,
        }
    }
}

impl Pipeline {
    /// Reserves for these jobs and delivers the granted ones. Returns `ended` with the newly ended jobs added.
    pub(crate) async fn reserve_and_deliver(
        &self,
        asking: Vec<ReservingJob>,
        mut ended: Vec<EndedJob>,
        feed: Option<&Feed>,
    ) -> Vec<EndedJob> {
        let granted = self.reserve(asking, &mut ended).await;
        let jobs = granted.into_iter().map(|granted| granted.job).collect();
        self.deliver(jobs, ended, feed).await
    }

    /// Reserves in the state. Returns the jobs that are granted. The others have ended or wait for their turn.
    pub(crate) async fn reserve(
        &self,
        mut asking: Vec<ReservingJob>,
        ended: &mut Vec<EndedJob>,
    ) -> Vec<GrantedJob> {
        if asking.is_empty() {
            return Vec::new();
        }
        let reservations: Vec<_> = asking.iter_mut().map(ReservingJob::named).collect();
        let mut answering = Answering {
            pipeline: self,
            began: Instant::now(),
            holds: self.holds.handle(),
            granted: Vec::with_capacity(asking.len()),
            ended,
        };
        let lease = self.parts.options.lease;
        let answer = self.parts.state.reserve(&reservations, lease).await;
        for (asking, reservation) in asking.iter_mut().zip(reservations) {
            asking.gates.reservation = reservation;
        }
        match answer {
            Ok(answers) => {
                for (asking, answer) in asking.into_iter().zip(answers) {
                    answering.answer(asking, answer);
                }
            }
            Err(error) => answering.without_state(asking, &error),
        }
        answering.granted
    }

    /// Ends a job after the state gave no answer. Its source resubmits it, and after a long time sends it to the
    /// delayed path.
    pub(crate) fn state_unavailable(&self, job: Box<Job>) -> EndedJob {
        let since = job.delivery.received_at;
        let waited = self.parts.clock.now().duration_since(since);
        let is_overdue =
            Duration::try_from(waited).is_ok_and(|waited| waited >= STATE_RETRY_TIMEOUT);
        if is_overdue && !job.is_answered() {
            let message = "the state backend does not answer";
            return job.failed(FailureCode::ExecutionFailed, message.into());
        }
        job.refused(STATE_WAIT, Refusal::StateUnavailable)
    }
}

/// Applies the answers of one call.
struct Answering<'a> {
    pipeline: &'a Pipeline,
    began: Instant,
    holds: Arc<HoldsHandle>,
    granted: Vec<GrantedJob>,
    ended: &'a mut Vec<EndedJob>,
}

impl Answering<'_> {
    fn answer(&mut self, mut asking: ReservingJob, answer: ReservationAnswer) {
        match answer {
            ReservationAnswer::Granted(grant) => {
                if let Some(StepAnswer::Appended(joined)) = &grant.step {
                    self.pipeline.scheduler.wake_at(joined.due_at);
                    asking.end = Some(grouped(joined));
                }
                self.hold(&mut asking, &grant);
                self.proceed(asking);
            }
            ReservationAnswer::Remembered(outcome) => {
                if let Some(key) = &asking.gates.reservation.lease {
                    self.pipeline.waiting.delivered(key);
                }
                self.pipeline.parts.counters.replayed.fetch_add(1, Relaxed);
                asking.job.delivery.remembered(*outcome);
            }
            ReservationAnswer::Busy(busy) => {
                let deadline = Instant::now() + self.pipeline.parts.options.lease_wait;
                asking.deadline.get_or_insert(deadline);
                self.pipeline.waiting.add(asking, busy);
            }
            ReservationAnswer::Duplicate { claim } => {
                if let Some(claim) = asking.gates.reservation.claims.get(claim) {
                    self.pipeline.waiting.delivered(&claim.key);
                }
                self.ended.push(duplicate(asking, claim));
            }
            ReservationAnswer::Throttled { quota, retry_after } => {
                let return_times = &self.pipeline.return_times;
                let ReservingJob { job, gates, .. } = asking;
                self.ended
                    .push(throttled(job, &gates, quota, retry_after, return_times));
            }
            ReservationAnswer::Full => {
                self.pipeline.ends.state_full();
                let ended = asking.job.refused(STATE_WAIT, Refusal::StateFull);
                self.ended.push(ended);
            }
        }
    }

    /// Continues with the provider, or with the outcome that the rules gave.
    fn proceed(&mut self, asking: ReservingJob) {
        let ReservingJob {
            job, end, place, ..
        } = asking;
        match end {
            None => self.granted.push(GrantedJob { job, place }),
            Some(outcome) => self.ended.push(job.ended(outcome)),
        }
    }

    /// Attaches the grant to the job.
    fn hold(&self, asking: &mut ReservingJob, grant: &Grant) {
        asking.job.gates = gates_to_ask_again(&asking.gates, grant);
        reroute_when_full(&mut asking.job, &asking.gates, grant);
        let held: Reservation = std::mem::take(&mut asking.gates.reservation);
        asking.job.hold = Some(Hold::new(held.into(), self.began, self.holds.clone()));
    }

    fn without_state(&mut self, asking: Vec<ReservingJob>, error: &StateError) {
        events::state_unavailable(error, asking.len());
        for mut asking in asking {
            match self.pipeline.parts.options.on_state_error {
                OnStateError::Deliver => self.proceed(asking),
                OnStateError::Retry => {
                    let asked = std::mem::take(&mut asking.gates.reservation);
                    self.holds.release_unseen(asked);
                    self.ended.push(self.pipeline.state_unavailable(asking.job));
                }
            }
        }
    }
}

/// The lease on the id that the producer gave, unless leases are turned off, and the memory of its outcome.
fn by_id(job: &Job, options: &PipelineOptions) -> Reservation {
    let mut reservation = Reservation::default();
    if !job.delivery.id_given {
        return reservation;
    }
    let is_answered = matches!(job.delivery.policy, Policy::Answer);
    let key = lease_key(job);
    if options.exclusive {
        reservation.lease = Some(key);
        reservation.recall = match is_answered {
            true => Recall::Yes,
            false => Recall::No,
        };
    } else if is_answered {
        reservation.recall = Recall::Under(key);
    }
    reservation
}

/// The key under which an id is leased and its outcome remembered.
pub(crate) fn lease_key(job: &Job) -> StateKey {
    let [namespace, tenant, rest @ ..] = identity(&job.delivery.action);
    let mut name = String::with_capacity(rest.iter().map(|part| part.len() + 4).sum());
    for part in rest {
        name.push_str(&part.len().to_string());
        name.push(':');
        name.push_str(part);
    }
    StateKey::new(namespace, tenant, "", &name)
}
