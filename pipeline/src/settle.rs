//! The end of an action: state, then audit trail, then source, in this order, each once for a whole batch.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::audit::AuditError;
use acteon_core::counters::CountersSnapshot;
use acteon_core::delivery::{detached, position_id};
use acteon_core::ids::Ids;
use acteon_core::state::{End, Settlement};
use acteon_core::{
    ActionOutcome, AuditRecord, DeadLetter, DeadLetterKind, Delay, Disposition, Loan, Poison,
    Policy, Refusal, StateError, TimeLeft,
};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::events;
use crate::job::{Ended, Job};
use crate::process::Pipeline;
use crate::record;

/// How long a settlement is tried again before the batch goes on without it.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a source waits before it offers again what could not be put away.
const STATE_WAIT: Duration = Duration::from_secs(1);
/// How long a source waits before it offers again what could not be delivered.
const FIRST_REDELIVERY: Duration = Duration::from_secs(5);

/// An ended job with what its end means.
struct Closing {
    job: Box<Job>,
    outcome: ActionOutcome,
    disposition: Disposition,
    letter: Option<Arc<DeadLetter>>,
}

impl Pipeline {
    /// Settles a batch. Its loans end here.
    pub(crate) async fn settle(&self, ended: Vec<Ended>) {
        if ended.is_empty() {
            return;
        }
        let now = self.parts.clock.now();
        let mut closings: Vec<_> = ended
            .into_iter()
            .map(|ended| Closing::of(ended, now))
            .collect();
        let settlements: Vec<_> = closings
            .iter()
            .filter_map(|closing| self.settlement(closing))
            .collect();
        if let Err(error) = self.settle_state(&settlements).await {
            closings = keep_without_letter(closings, &error);
        }
        if self.record_all(&closings, now).await.is_err() {
            // Nothing is acknowledged without its record: the sources offer these again.
            let jobs = closings.into_iter().map(|closing| closing.job);
            jobs.for_each(|job| job.retry(Duration::ZERO, Refusal::ShuttingDown));
            return;
        }
        self.parts.counters.add(&count(&closings));
        closings.into_iter().for_each(Closing::close);
    }

    /// Puts what cannot be decoded among the dead letters.
    pub(crate) async fn bury_poison(&self, poison: Vec<Loan<Poison>>) {
        let now = self.parts.clock.now();
        let letters: Vec<_> = poison
            .iter()
            .map(|loan| Arc::new(poison_letter(loan, now)))
            .collect();
        let settlements: Vec<_> = letters
            .iter()
            .map(|letter| Settlement {
                held: None,
                end: End::Release,
                remember: None,
                dead_letter: Some(letter.clone()),
                notes: Vec::new(),
            })
            .collect();
        let stored = self.settle_state(&settlements).await;
        for (loan, letter) in poison.into_iter().zip(letters) {
            match &stored {
                Ok(()) => {
                    self.parts.counters.dead_lettered.fetch_add(1, Relaxed);
                    loan.dead_lettered(letter);
                }
                Err(_) => loan.retry(STATE_WAIT, Refusal::StateUnavailable),
            }
        }
    }

    /// Sends a job back to its source and gives up what it holds.
    pub(crate) async fn send_back(&self, job: Box<Job>, after: Duration, refusal: Refusal) {
        let release: Vec<_> = release(&job).into_iter().collect();
        if let Err(error) = self.settle_state(&release).await {
            events::left_to_expire(&error, 1);
        }
        job.retry(after, refusal);
    }

    /// Gives jobs that no attempt is running for back to their sources, because the process is stopping.
    pub(crate) async fn give_back(&self, jobs: Vec<Box<Job>>) {
        let releases: Vec<_> = jobs.iter().filter_map(|job| release(job)).collect();
        if !releases.is_empty()
            && let Err(error) = self.parts.state.settle(&releases).await
        {
            events::left_to_expire(&error, releases.len());
        }
        for job in jobs {
            job.retry(Duration::ZERO, Refusal::ShuttingDown);
        }
    }

    /// One call for all, tried again for a while.
    async fn settle_state(&self, settlements: &[Settlement]) -> Result<(), StateError> {
        if settlements.is_empty() {
            return Ok(());
        }
        let (mut wait, mut until) = (FIRST_WAIT, None);
        loop {
            let Err(error) = self.parts.state.settle(settlements).await else {
                self.waiting.settled(settlements);
                return Ok(());
            };
            let until = *until.get_or_insert_with(|| Instant::now() + SETTLE_PATIENCE);
            events::settling_failed(&error, settlements.len());
            if Instant::now() + wait > until || self.closing.is_cancelled() {
                return Err(error);
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn settlement(&self, closing: &Closing) -> Option<Settlement> {
        let job = &closing.job;
        let held = job.lease.as_ref().map(|lease| lease.held.clone());
        let counts = closing.is_final() && !job.notes.is_empty();
        if held.is_none() && closing.letter.is_none() && !counts {
            return None;
        }
        let delivery = &job.delivery;
        let remembered = delivery.policy == Policy::Answer && delivery.id_given && held.is_some();
        Some(Settlement {
            held,
            end: match closing.outcome.is_delivered() {
                true => End::Confirm,
                false => End::Release,
            },
            remember: (remembered && is_worth_remembering(&closing.outcome))
                .then(|| (closing.outcome.clone(), self.parts.options.idempotency_ttl)),
            dead_letter: closing.letter.clone(),
            notes: if counts {
                job.notes.clone()
            } else {
                Vec::new()
            },
        })
    }

    async fn record_all(&self, closings: &[Closing], now: Timestamp) -> Result<(), AuditError> {
        let Some(trail) = &self.parts.trail else {
            return Ok(());
        };
        let ended = closings.iter().filter(|closing| closing.is_final());
        let mut ids = Ids::at(now);
        let records = ended.map(|closing| self.record(closing, now, &mut ids));
        let records: Vec<_> = records.collect();
        trail.record(records).await
    }

    fn record(&self, closing: &Closing, now: Timestamp, ids: &mut Ids) -> AuditRecord {
        let payload = self.parts.options.store_payload.then(|| {
            self.parts
                .redactor
                .payload(&closing.job.delivery.action.payload)
        });
        record::of(&closing.job, &closing.outcome, payload, now, ids)
    }
}

impl Closing {
    fn of(Ended { job, outcome }: Ended, now: Timestamp) -> Self {
        let disposition = Disposition::of(&outcome, job.delivery.policy, TimeLeft::Some);
        let letter = (disposition == Disposition::DeadLetter)
            .then(|| Arc::new(exhausted_letter(&job, &outcome, now)));
        Self {
            job,
            outcome,
            disposition,
            letter,
        }
    }

    /// What is offered again has not come to its end, and is recorded when it does.
    fn is_final(&self) -> bool {
        !matches!(
            self.disposition,
            Disposition::Throttled { .. } | Disposition::Redeliver
        )
    }

    /// Ends the loan.
    fn close(self) {
        if let Disposition::Throttled { after } = self.disposition {
            return self.job.later(after, Delay::Throttled);
        }
        if self.disposition == Disposition::Redeliver {
            return self.job.later(FIRST_REDELIVERY, Delay::Redelivery);
        }
        let delivery = self.job.delivery;
        match self.letter {
            None => delivery.done(self.outcome),
            Some(letter) => delivery.dead_lettered(letter),
        }
    }
}

fn count(closings: &[Closing]) -> CountersSnapshot {
    let mut counted = CountersSnapshot::default();
    for closing in closings.iter().filter(|closing| closing.is_final()) {
        counted.dispatched += 1;
        counted.dead_lettered += u64::from(closing.letter.is_some());
        counted.count(&closing.outcome);
    }
    counted
}

/// An answer that says "later" must not be given to the one who comes back later.
fn is_worth_remembering(outcome: &ActionOutcome) -> bool {
    match outcome {
        ActionOutcome::Failed(failure) => !failure.retryable,
        ActionOutcome::CircuitOpen { .. } | ActionOutcome::Throttled { .. } => false,
        _ => true,
    }
}

/// What a job gives up that will not be delivered by this process now.
fn release(job: &Job) -> Option<Settlement> {
    let lease = job.lease.as_ref()?;
    Some(Settlement {
        held: Some(lease.held.clone()),
        end: End::Release,
        remember: None,
        dead_letter: None,
        notes: Vec::new(),
    })
}

/// The state would not take the settlements. What was delivered stays delivered, its key falls free when the lease
/// ends. What was to become a dead letter is not put away, so its source offers it again.
fn keep_without_letter(closings: Vec<Closing>, error: &StateError) -> Vec<Closing> {
    let (unstored, kept): (Vec<_>, Vec<_>) = closings
        .into_iter()
        .partition(|closing| closing.letter.is_some());
    events::unconfirmed(error, kept.len(), unstored.len());
    for closing in unstored {
        closing.job.retry(STATE_WAIT, Refusal::StateUnavailable);
    }
    kept
}

fn exhausted_letter(job: &Job, outcome: &ActionOutcome, now: Timestamp) -> DeadLetter {
    let (delivery, action) = (&job.delivery, &job.delivery.action);
    let (code, message) = match outcome {
        ActionOutcome::Failed(failure) => (failure.code.as_str(), failure.message.clone()),
        ActionOutcome::Throttled { .. } => ("THROTTLED", "over the limit of its rule".into()),
        ActionOutcome::CircuitOpen { provider, .. } => {
            let message = format!("the breaker of `{provider}` is open, and no fallback took it");
            ("CIRCUIT_OPEN", message.into())
        }
        _ => ("UNDELIVERED", "ended without delivery".into()),
    };
    events::dead_lettered(code, &action.id);
    DeadLetter {
        id: position_id(&delivery.position, action.created_at),
        kind: DeadLetterKind::Exhausted,
        namespace: action.namespace.clone(),
        tenant: action.tenant.clone(),
        provider: job.target.clone(),
        action_type: action.action_type.clone(),
        action_id: action.id.clone(),
        code: code.into(),
        message,
        attempts: job.attempts,
        history: Vec::new(),
        source: delivery.position.to_string().into(),
        raw: detached(&delivery.raw),
        created_at: now,
    }
}

fn poison_letter(poison: &Poison, now: Timestamp) -> DeadLetter {
    events::dead_lettered("POISON", &poison.reason);
    DeadLetter {
        id: position_id(&poison.position, poison.made_at),
        kind: DeadLetterKind::Poison,
        namespace: "".into(),
        tenant: "".into(),
        provider: "".into(),
        action_type: "".into(),
        action_id: "".into(),
        code: "INVALID_ACTION".into(),
        message: poison.reason.as_str().into(),
        attempts: 0,
        history: Vec::new(),
        source: poison.position.to_string().into(),
        raw: detached(&poison.raw),
        created_at: now,
    }
}
