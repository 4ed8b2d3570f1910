//! Builds dead letters and stores them. While the state has no room for one, its action waits here, still on loan, so
//! that its source waits too.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_core::delivery::{Position, position_id};
use acteon_core::state::{Settlement, SettlementAnswer};
use acteon_core::{
    ActionOutcome, AttemptRecord, DeadLetter, DeadLetterAction, Envelope, Loan, Parked, Poison,
    Refusal,
};
use compact_str::CompactString;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::events;
use crate::job::{EndedJob, Job, identity};
use crate::process::Pipeline;
use crate::settle::ClosingJob;

/// Codes of dead letters that are not the code of a failed attempt.
pub(crate) const CIRCUIT_OPEN: &str = "CIRCUIT_OPEN";
pub(crate) const THROTTLED: &str = "THROTTLED";
pub(crate) const UNDELIVERED: &str = "UNDELIVERED";
/// How long a source waits before it resubmits a message whose dead letter could not be stored.
const LETTER_WAIT: Duration = Duration::from_secs(1);

/// Jobs whose dead letters had no room. Bounded by admission.
#[derive(Default)]
pub(crate) struct UnstoredLetters {
    closings: Mutex<Vec<Parked<ClosingJob>>>,
    added: Notify,
}

impl UnstoredLetters {
    pub(crate) fn add(&self, closings: Vec<Parked<ClosingJob>>) {
        self.closings.lock().extend(closings);
        self.added.notify_one();
    }

    fn take(&self) -> Vec<ClosingJob> {
        let closings = std::mem::take(&mut *self.closings.lock());
        closings.into_iter().map(Parked::into_inner).collect()
    }
}

impl Pipeline {
    /// Retries to store the dead letters that had no room. Sleeps while there are none. Never returns.
    pub(crate) async fn store_unstored_letters(&self) {
        loop {
            self.unstored.added.notified().await;
            sleep(LETTER_WAIT).await;
            self.close_all(self.unstored.take(), self.parts.clock.now())
                .await;
        }
    }

    /// Stops waiting and returns the jobs to their sources.
    pub(crate) fn take_unstored(&self) -> Vec<EndedJob> {
        let waiting = self.unstored.take().into_iter();
        waiting
            .map(|closing| Self::shutting_down(closing.job))
            .collect()
    }

    /// Stores messages that cannot be decoded as dead letters.
    pub(crate) async fn dead_letter_poison(&self, poison: Vec<Loan<Poison>>) {
        let now = self.parts.clock.now();
        let letters = poison.iter().map(|loan| Arc::new(loan.dead_letter(now)));
        let letters: Vec<_> = letters.collect();
        let settlements: Vec<_> = letters.iter().cloned().map(Settlement::storing).collect();
        let answers = match self.settle_state(&settlements, || {}).await {
            Ok(answers) => answers,
            Err(_) => {
                let back = |loan: Loan<Poison>| loan.retry(LETTER_WAIT, Refusal::StateUnavailable);
                return poison.into_iter().for_each(back);
            }
        };
        let mut count = 0;
        let mut refused = 0;
        for ((loan, letter), answer) in poison.into_iter().zip(letters).zip(answers) {
            match answer {
                SettlementAnswer::Applied => {
                    count += 1;
                    events::dead_lettered(&letter);
                    loan.dead_lettered(letter);
                }
                SettlementAnswer::NoRoom => {
                    refused += 1;
                    loan.retry(LETTER_WAIT, Refusal::DeadLettersFull);
                }
            }
        }
        events::dead_letters_full(refused);
        self.parts.counters.dead_lettered.fetch_add(count, Relaxed);
    }
}

/// The dead letter of an action with this outcome.
pub(crate) fn exhausted_letter(job: &Job, outcome: &ActionOutcome, now: Timestamp) -> DeadLetter {
    let delivery = &job.delivery;
    let action = &delivery.action;
    let (code, message) = code_and_message(outcome);
    let history = delivery.history.as_deref();
    let history: Vec<AttemptRecord> =
        history.map_or_else(Vec::new, |history| history.last.iter().cloned().collect());
    DeadLetter {
        id: letter_id(delivery),
        action: Some(DeadLetterAction {
            id: action.id.clone(),
            namespace: action.namespace.clone(),
            tenant: action.tenant.clone(),
            provider: job.route.target.clone(),
            action_type: action.action_type.clone(),
            progress: delivery.progress().cloned().map(Box::new),
        }),
        code: code.into(),
        message,
        attempts: job.attempts(),
        history,
        source: delivery.position.to_string().into(),
        raw: Parked::new(delivery.raw.clone()),
        created_at: now,
    }
}

/// The same for the same action. A position without an offset is that of many actions.
fn letter_id(delivery: &Envelope) -> CompactString {
    let at = delivery.action.created_at.timestamp();
    if delivery.position.offset.is_some() {
        return position_id(&delivery.position, at);
    }
    let names = identity(&delivery.action).map(CompactString::as_str);
    let stream = format!("{}\n{}", delivery.position.stream, names.join("\n"));
    position_id(&Position::from(stream.as_str()), at)
}

/// The code and the message of a dead letter.
fn code_and_message(outcome: &ActionOutcome) -> (&'static str, CompactString) {
    match outcome {
        ActionOutcome::Failed(failure) => (failure.code.as_str(), failure.message.clone()),
        ActionOutcome::Throttled { .. } => (THROTTLED, "over the limit of its rule".into()),
        ActionOutcome::CircuitOpen { provider, .. } => {
            let message =
                format!("the breaker of `{provider}` is open, and no fallback accepted the action");
            (CIRCUIT_OPEN, message.into())
        }
        ActionOutcome::Executed(_)
        | ActionOutcome::Deduplicated(())
        | ActionOutcome::Suppressed { .. }
        | ActionOutcome::Rerouted { .. }
        | ActionOutcome::Grouped { .. }
        | ActionOutcome::StateChanged { .. }
        | ActionOutcome::DryRun { .. } => (UNDELIVERED, "ended without delivery".into()),
    }
}
