//! Makes one call to the state for everything that a batch needs, and applies the answers to each action.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::state::{
    Grant, Recall, Reservation, ReservationAnswer, StateKey, Step, StepAnswer, StoredEvent, Token,
};
use acteon_core::{ActionOutcome, Detach, FailureCode, Feed, Policy, Refusal, StateError};
use acteon_rules::{DeliveryPlan, Gates};
use tokio::time::Instant;

use crate::dedup::duplicate;
use crate::event_report::{BatchEvents, Reported};
use crate::events;
use crate::groups::grouped;
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
/// How often a batch reserves, because others write its events meanwhile.
const ROUNDS_MAX: usize = 16;

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

/// What the rules want for an action.
pub(crate) struct Planned {
    plan: DeliveryPlan,
    /// The outcome, if there is nothing to deliver.
    end: Option<ActionOutcome>,
    /// Whether its id is leased even if there is nothing to deliver.
    lease: IdLease,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IdLease {
    /// Always.
    Always,
    /// If a caller waits, because the answer may be remembered.
    IfAnswered,
}

impl Planned {
    pub(crate) fn delivery(plan: DeliveryPlan) -> Self {
        Self {
            plan,
            end: None,
            lease: IdLease::Always,
        }
    }

    pub(crate) fn end(outcome: ActionOutcome) -> Self {
        Self {
            plan: DeliveryPlan::default(),
            end: Some(outcome),
            lease: IdLease::IfAnswered,
        }
    }

    /// The report of an event, with its outcome if it has no notice.
    pub(crate) fn report(plan: DeliveryPlan, end: Option<ActionOutcome>) -> Self {
        Self {
            plan,
            end,
            lease: IdLease::Always,
        }
    }
}

impl Requirement {
    pub(crate) fn of(mut job: Box<Job>, planned: Planned, options: &PipelineOptions) -> Self {
        let Planned { plan, end, lease } = planned;
        let by_id = match lease == IdLease::Always || job.is_answered() {
            true => by_id(&job, options),
            false => Reservation::default(),
        };
        let plan = without_own_claims(&job, plan);
        plan.provider
            .into_iter()
            .for_each(|target| job.redirect(target));
        let mut gates = plan.gates;
        if by_id.is_empty() && gates.reservation.is_empty() {
            return match end {
                Some(outcome) => Self::End(job.ended(outcome)),
                None => {
                    job.add_notice_labels();
                    Self::Nothing(job)
                }
            };
        }
        gates.reservation.lease = by_id.lease;
        gates.reservation.recall = by_id.recall;
        Self::Reserve(ReservingJob {
            job,
            gates,
            end,
            place: None,
            deadline: None,
            checks: 0,
        })
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
    /// Reserves for these jobs. Delivers the granted ones and those in `ordered`, which need nothing, in the order in
    /// which they were decided. Returns `ended` with the newly ended jobs added.
    pub(crate) async fn reserve_and_deliver(
        &self,
        asking: Vec<ReservingJob>,
        ordered: Vec<Box<Job>>,
        mut ended: Vec<EndedJob>,
        feed: Option<&Feed>,
    ) -> Vec<EndedJob> {
        let granted = self.reserve(asking, &mut ended).await;
        let mut jobs: Vec<_> = granted.into_iter().map(|granted| granted.job).collect();
        if !ordered.is_empty() {
            jobs.extend(ordered);
            jobs.sort_by_key(|job| Reverse(job.later_ones));
        }
        self.deliver(jobs, ended, feed).await
    }

    /// Reserves in the state. Returns the jobs that are granted. The others have ended or wait for their turn.
    pub(crate) async fn reserve(
        &self,
        mut asking: Vec<ReservingJob>,
        ended: &mut Vec<EndedJob>,
    ) -> Vec<GrantedJob> {
        let mut granted = Vec::with_capacity(asking.len());
        let mut rounds = 0;
        while !asking.is_empty() {
            let mut answering = Answering {
                pipeline: self,
                began: Instant::now(),
                holds: self.holds.handle(),
                granted: &mut granted,
                ended,
                conflicts: Vec::new(),
            };
            self.reserve_once(asking, &mut answering).await;
            let conflicts = answering.conflicts;
            rounds += 1;
            if rounds == ROUNDS_MAX {
                let jobs = conflicts.into_iter().map(|(asking, _)| asking.job);
                ended.extend(jobs.map(|job| job.refused(STATE_WAIT, Refusal::Busy)));
                break;
            }
            asking = self.decide_again(conflicts);
        }
        granted
    }

    async fn reserve_once(&self, mut asking: Vec<ReservingJob>, answering: &mut Answering<'_>) {
        let reservations: Vec<_> = asking.iter_mut().map(ReservingJob::named).collect();
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
    }

    /// Decides reports again whose events others have written meanwhile, with the present records.
    fn decide_again(
        &self,
        conflicts: Vec<(ReservingJob, Option<Arc<StoredEvent>>)>,
    ) -> Vec<ReservingJob> {
        let mut events = BatchEvents::default();
        let again = conflicts.into_iter().map(|(mut asking, present)| {
            let gates = &mut asking.gates;
            asking.end = match events.apply(&mut asking.job, present.as_deref(), gates) {
                Some(Reported::End(outcome)) => Some(outcome),
                Some(Reported::Notice) | None => None,
            };
            asking
        });
        again.collect()
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
    granted: &'a mut Vec<GrantedJob>,
    ended: &'a mut Vec<EndedJob>,
    /// Reports whose events others have written meanwhile, with the present records.
    conflicts: Vec<(ReservingJob, Option<Arc<StoredEvent>>)>,
}

impl Answering<'_> {
    fn answer(&mut self, mut asking: ReservingJob, answer: ReservationAnswer) {
        match answer {
            ReservationAnswer::Granted(grant) => {
                self.stepped(&mut asking, &grant);
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
            ReservationAnswer::Conflict(present) => self.conflicts.push((asking, present)),
            ReservationAnswer::Full => {
                self.pipeline.ends.state_full();
                let ended = asking.job.refused(STATE_WAIT, Refusal::StateFull);
                self.ended.push(ended);
            }
        }
    }

    /// The step was made. It is not made again when the job asks for its places again.
    fn stepped(&self, asking: &mut ReservingJob, grant: &Grant) {
        let scheduler = &self.pipeline.scheduler;
        let step = asking.gates.reservation.step.take();
        if let Some(StepAnswer::Appended(joined)) = &grant.step {
            scheduler.wake_at(joined.due_at);
            asking.end = Some(grouped(joined));
        }
        if let (Some(Step::Write(write)), Some(report)) = (step, &asking.job.report) {
            scheduler.wake_after(report.at, write.due_in);
        }
    }

    /// Continues with the provider, or with the outcome that the rules gave.
    fn proceed(&mut self, asking: ReservingJob) {
        let ReservingJob {
            mut job,
            end,
            place,
            ..
        } = asking;
        match end {
            None => {
                job.add_notice_labels();
                self.granted.push(GrantedJob { job, place });
            }
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
            // Without its event, a report cannot be decided.
            let on_error = match asking.job.report {
                Some(_) => OnStateError::Retry,
                None => self.pipeline.parts.options.on_state_error,
            };
            match on_error {
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
