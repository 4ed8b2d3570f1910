//! Ends actions: first in the state, then in the audit trail, then at the source. Each is called once for a whole
//! batch, whatever the outcomes.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::AuditError;
use acteon_core::counters::CountersSnapshot;
use acteon_core::ids::Ids;
use acteon_core::state::{RememberedOutcome, ReservationEnd, Settlement, SettlementAnswer};
use acteon_core::{
    ActionOutcome, AuditRecord, Backoff, DeadLetter, Delay, Detach, Disposition, History, Parked,
    Policy, Refusal, StateError, TimeLeft,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use crate::dead_letters::exhausted_letter;
use crate::event_untold::UntoldReport;
use crate::events;
use crate::hold::Hold;
use crate::job::{EndedJob, Job, JobEnd, PlannedReturn};
use crate::process::Pipeline;
use crate::record;
use crate::reserve::lease_key;

/// How long a failing settlement is retried before the batch continues without it.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The waits between two tries of a settlement.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
/// How long a source waits before it resubmits an action whose dead letter could not be stored.
const STATE_WAIT: Duration = Duration::from_secs(1);

/// An ended job and the action to take.
pub(crate) struct ClosingJob {
    pub(crate) job: Box<Job>,
    end: CloseAction,
}

impl ClosingJob {
    /// The report of an event whose notice is not delivered again.
    fn untold(&self) -> Option<UntoldReport> {
        let is_final = match &self.end {
            CloseAction::Done(outcome) => outcome.has_failed(),
            CloseAction::DeadLetter(..) => true,
            // Only a caller who waits gets this as the answer. Other actions come back.
            CloseAction::Refused { .. } => self.job.is_answered(),
            CloseAction::Later { .. } => false,
        };
        is_final.then(|| UntoldReport::of(&self.job)).flatten()
    }
}

impl Detach for ClosingJob {
    fn detach(&mut self) {
        self.job.detach();
    }
}

/// The action to take for an ended job.
enum CloseAction {
    /// The source acknowledges.
    Done(ActionOutcome),
    /// The dead letter is stored. Then the source acknowledges.
    DeadLetter(ActionOutcome, Arc<DeadLetter>),
    /// The source submits it again soon.
    Refused { after: Duration, refusal: Refusal },
    /// The source submits it again later.
    Later { after: Duration, delay: Delay },
}

impl CloseAction {
    /// The outcome, if the action is finished.
    fn outcome(&self) -> Option<&ActionOutcome> {
        match self {
            Self::Done(outcome) | Self::DeadLetter(outcome, _) => Some(outcome),
            Self::Refused { .. } | Self::Later { .. } => None,
        }
    }

    /// True if the source submits the action again and no rule has delayed it.
    fn is_soon_again(&self) -> bool {
        match self {
            Self::Done(_) | Self::DeadLetter(..) => false,
            Self::Refused { .. } => true,
            Self::Later { delay, .. } => *delay == Delay::Redelivery,
        }
    }

    fn letter(&self) -> Option<&Arc<DeadLetter>> {
        match self {
            Self::DeadLetter(_, letter) => Some(letter),
            Self::Done(_) | Self::Refused { .. } | Self::Later { .. } => None,
        }
    }
}

impl Pipeline {
    /// Settles a batch. Its loans end here.
    pub(crate) async fn settle(&self, mut ended: Vec<EndedJob>) {
        ended.iter_mut().for_each(|done| self.end_turn(done));
        let ended = self.deliver_further(ended).await;
        if ended.is_empty() {
            return;
        }
        let now = self.parts.clock.now();
        let closings = ended.into_iter().map(|ended| self.closing(ended, now));
        let closings: Vec<_> = closings.collect();
        let untold = closings.iter().filter_map(ClosingJob::untold).collect();
        // Before the answers: a caller may send the report again at once.
        self.untell(untold).await;
        self.close_all(closings, now).await;
    }

    /// Delivers notices that go to further providers, one after the other. Returns the jobs that have ended.
    async fn deliver_further(&self, mut ended: Vec<EndedJob>) -> Vec<EndedJob> {
        if !ended.iter().any(EndedJob::goes_on) {
            return ended;
        }
        let now = self.parts.clock.now();
        while ended.iter().any(EndedJob::goes_on) {
            let (goes_on, rest) = ended.into_iter().partition::<Vec<_>, _>(EndedJob::goes_on);
            let jobs = goes_on.into_iter().map(|ended| ended.into_next_target(now));
            // Boxed, because delivering settles, too.
            ended = Box::pin(self.deliver(jobs.collect(), rest, None)).await;
        }
        ended
    }

    /// Decides the action to take for an ended job.
    fn closing(&self, ended: EndedJob, now: Timestamp) -> ClosingJob {
        let EndedJob { mut job, end } = ended.at_all_targets();
        let outcome = match end {
            JobEnd::Outcome(outcome) => outcome,
            JobEnd::Refused { after, refusal } => {
                let end = CloseAction::Refused { after, refusal };
                return ClosingJob { job, end };
            }
        };
        let policy = job.delivery.policy;
        let mut disposition = Disposition::of(&outcome, policy, TimeLeft::Some);
        if disposition == Disposition::Redeliver {
            job.history(now);
            disposition = Disposition::of(&outcome, policy, self.time_left(&job, now));
        }
        let end = match disposition {
            Disposition::Ack => CloseAction::Done(outcome),
            Disposition::Throttled { after } => CloseAction::Later {
                after: job.turn_in.unwrap_or(after),
                delay: Delay::Throttled,
            },
            Disposition::Redeliver => CloseAction::Later {
                after: match job.route.returns {
                    Some(PlannedReturn::OnSchedule(wait) | PlannedReturn::Behind(wait)) => wait,
                    None => self.redelivery_wait(&job),
                },
                delay: Delay::Redelivery,
            },
            Disposition::DeadLetter => {
                let letter = Arc::new(exhausted_letter(&job, &outcome, now));
                CloseAction::DeadLetter(outcome, letter)
            }
        };
        ClosingJob { job, end }
    }

    /// Reports to the state, the trail and the sources, in this order.
    pub(crate) async fn close_all(&self, mut closings: Vec<ClosingJob>, now: Timestamp) {
        let mut settlements = Vec::new();
        let mut settled = Vec::new();
        for (at, closing) in closings.iter().enumerate() {
            if let Some(settlement) = self.settlement(closing) {
                settlements.push(settlement);
                settled.push(at);
            }
        }
        let renew = || {
            let holds = closings.iter_mut().filter_map(|one| one.job.hold.as_mut());
            holds.for_each(Hold::renew);
        };
        match self.settle_state(&settlements, renew).await {
            Ok(answers) => {
                let answers = settled.into_iter().zip(answers);
                let full = answers.filter(|(_, answer)| *answer == SettlementAnswer::NoRoom);
                let full: Vec<_> = full.map(|(at, _)| at).collect();
                if !full.is_empty() {
                    closings = self.set_aside(closings, &full);
                }
            }
            Err(error) => closings = without_letters(closings, &error),
        }
        for closing in &mut closings {
            closing.job.hold.take().into_iter().for_each(Hold::settled);
        }
        if self.record_all(&closings, now).await.is_err() {
            // Nothing is acknowledged without its record. The sources submit these again.
            for closing in &mut closings {
                closing.end = CloseAction::Refused {
                    after: Duration::ZERO,
                    refusal: Refusal::ShuttingDown,
                };
            }
        }
        self.parts.counters.add(&count(&closings));
        let ended = closings.iter().filter(|one| one.end.outcome().is_some());
        let ended = ended.map(|one| &*one.job.delivery);
        self.ends.settled(ended, self.parts.clock.now());
        for closing in closings {
            self.close(closing, now);
        }
    }

    /// Settles all in one call, with retries for a while. Calls `wait` before the first retry.
    pub(crate) async fn settle_state(
        &self,
        settlements: &[Settlement],
        wait: impl FnOnce(),
    ) -> Result<Vec<SettlementAnswer>, StateError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let mut wait = Some(wait);
        let mut deadline = None;
        let mut tries = 0;
        loop {
            let error = match self.parts.state.settle(settlements).await {
                Ok(answers) => {
                    self.waiting.settled(settlements);
                    return Ok(answers);
                }
                Err(error) => error,
            };
            events::settling_failed(&error, settlements.len());
            if let Some(wait) = wait.take() {
                wait();
            }
            let pause = BACKOFF.step(tries);
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + SETTLE_TIMEOUT);
            if Instant::now() + pause > deadline || self.closing.is_cancelled() {
                return Err(error);
            }
            sleep(pause).await;
            tries += 1;
        }
    }

    /// Sets aside the closings at the positions in `full`, whose dead letters had no room, to wait. Returns the others.
    fn set_aside(&self, closings: Vec<ClosingJob>, full: &[usize]) -> Vec<ClosingJob> {
        events::dead_letters_full(full.len());
        let mut full = full.iter().peekable();
        let mut waiting = Vec::new();
        let mut rest = Vec::new();
        for (at, closing) in closings.into_iter().enumerate() {
            if full.next_if(|next| **next == at).is_some() {
                waiting.push(Parked::new(closing));
            } else {
                rest.push(closing);
            }
        }
        self.unstored.add(waiting);
        rest
    }

    fn settlement(&self, closing: &ClosingJob) -> Option<Settlement> {
        let job = &closing.job;
        let held = job.hold.as_ref().map(|hold| hold.held().clone());
        let letter = closing.end.letter();
        let outcome = closing.end.outcome();
        let counts = outcome.is_some() && !job.ruling.counts.is_empty();
        let remember = outcome.and_then(|outcome| self.remember(job, outcome));
        if held.is_none() && letter.is_none() && remember.is_none() && !counts {
            return None;
        }
        Some(Settlement {
            held,
            end: match job.delivery.is_partly_delivered() {
                true => ReservationEnd::Confirm,
                false => outcome.map(ReservationEnd::from).unwrap_or_default(),
            },
            remember,
            dead_letter: letter.cloned(),
            counts: match counts {
                true => job.ruling.counts.clone(),
                false => Vec::new(),
            },
        })
    }

    /// The outcome to answer a caller who asks again under the same id.
    fn remember(&self, job: &Job, outcome: &ActionOutcome) -> Option<RememberedOutcome> {
        let delivery = &job.delivery;
        let options = &self.parts.options;
        let is_named = delivery.policy == Policy::Answer && delivery.id_given;
        let is_kept = is_worth_remembering(outcome) || delivery.is_partly_delivered();
        (is_named && is_kept).then(|| RememberedOutcome {
            under: lease_key(job),
            outcome: outcome.clone(),
            ttl: options.idempotency_ttl,
        })
    }

    async fn record_all(&self, closings: &[ClosingJob], now: Timestamp) -> Result<(), AuditError> {
        let Some(trail) = &self.parts.trail else {
            return Ok(());
        };
        let mut ids = Ids::at(now);
        let ended = closings
            .iter()
            .filter_map(|closing| Some((&closing.job, closing.end.outcome()?)));
        let records = ended.map(|(job, outcome)| self.record(job, outcome, now, &mut ids));
        let records: Vec<_> = records.collect();
        match records.is_empty() {
            true => Ok(()),
            false => trail.record(records).await,
        }
    }

    fn record(
        &self,
        job: &Job,
        outcome: &ActionOutcome,
        now: Timestamp,
        ids: &mut Ids,
    ) -> AuditRecord {
        let redactor = &self.parts.redactor;
        let stores = self.parts.options.store_payload;
        let payload = stores.then(|| redactor.payload(&job.delivery.action.payload));
        let mut record = record::of(job, outcome, payload, now, ids);
        if !redactor.is_idle() {
            record.metadata = redactor.labels(&record.metadata);
        }
        record
    }

    /// Ends the loan.
    fn close(&self, ClosingJob { mut job, end }: ClosingJob, now: Timestamp) {
        if !end.is_soon_again() {
            self.parts.providers.forget_places(&job.delivery);
        }
        match end {
            CloseAction::Done(outcome) => match job.delivery.progress().cloned() {
                Some(progress) if job.delivery.policy == Policy::Replay => {
                    job.delivery.partly(outcome, progress);
                }
                _ => job.delivery.done(outcome),
            },
            CloseAction::DeadLetter(_, letter) => {
                events::dead_lettered(&letter);
                job.delivery.dead_lettered(letter);
            }
            CloseAction::Refused { after, refusal } => {
                self.ends.returned(refusal);
                job.restore();
                job.delivery.retry(after, refusal);
            }
            CloseAction::Later { after, delay } => {
                job.restore();
                if delay == Delay::Redelivery {
                    self.count_redelivery(&mut job, after, now);
                }
                if let Some(provider) = self.parts.providers.get(&job.route.target) {
                    provider.events.delayed(delay);
                }
                job.delivery.later(after, delay);
            }
        }
    }

    fn count_redelivery(&self, job: &mut Job, after: Duration, now: Timestamp) {
        let waits_behind = matches!(job.route.returns, Some(PlannedReturn::Behind(_)));
        let history: &mut History = job.history(now);
        history.redeliveries = history
            .redeliveries
            .saturating_add(u32::from(!waits_behind));
        let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
        let next_at = now.saturating_add(after).unwrap_or(Timestamp::MAX);
        let known = &self.parts.providers.redeliveries;
        known.add(&job.delivery, &job.route.target, now, next_at);
    }
}

fn count(closings: &[ClosingJob]) -> CountersSnapshot {
    let mut counted = CountersSnapshot::default();
    for closing in closings {
        if let Some(outcome) = closing.end.outcome() {
            counted.dispatched += 1;
            counted.dead_lettered += u64::from(closing.end.letter().is_some());
            counted.count(outcome);
        }
    }
    counted
}

/// An outcome that means "try later" must not answer the caller who tries later.
fn is_worth_remembering(outcome: &ActionOutcome) -> bool {
    match outcome {
        ActionOutcome::Failed(failure) => !failure.retryable,
        ActionOutcome::CircuitOpen { .. } | ActionOutcome::Throttled { .. } => false,
        ActionOutcome::Executed(_)
        | ActionOutcome::Deduplicated(())
        | ActionOutcome::Suppressed { .. }
        | ActionOutcome::Rerouted { .. }
        | ActionOutcome::Grouped { .. }
        | ActionOutcome::StateChanged { .. }
        | ActionOutcome::DryRun { .. } => true,
    }
}

/// Handles a state that did not accept the settlements. Delivered actions stay delivered; their keys expire with the
/// lease. Dead letters were not stored, so the sources submit these actions again.
fn without_letters(mut closings: Vec<ClosingJob>, error: &StateError) -> Vec<ClosingJob> {
    let mut unstored = 0;
    for closing in &mut closings {
        if closing.end.letter().is_some() {
            unstored += 1;
            closing.end = CloseAction::Refused {
                after: STATE_WAIT,
                refusal: Refusal::StateUnavailable,
            };
        }
    }
    events::unconfirmed(error, closings.len() - unstored, unstored);
    closings
}
