//! An action on its way through the pipeline, with the decisions made so far.

use std::borrow::Cow;
use std::time::Duration;

use acteon_core::state::Tally;
use acteon_core::verdict::{Verdict, VerdictDetails};
use acteon_core::{
    Action, ActionOutcome, AttemptRecord, Delivery, Detach, Failure, FailureCode, History, Labels,
    Memory, Parked, Payload, ProviderResponse, Refusal,
};
use acteon_rules::Gates;
use compact_str::CompactString;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::event_report::{JobReport, NoticeState};
use crate::hold::Hold;
use crate::provider::SequencePlace;
use crate::rulebook::Stamp;

/// An action between decision and settlement. It leaves in one of two ways: [`Pipeline::settle`] takes an [`EndedJob`]
/// one; dropping it returns the action to its source and its hold to the state.
///
/// [`Pipeline::settle`]: crate::process::Pipeline::settle
pub(crate) struct Job {
    /// The action on loan, with the payload as the rules left it.
    pub(crate) delivery: Delivery,
    pub(crate) ruling: Ruling,
    pub(crate) route: Route,
    /// How many of its batch were decided after it.
    pub(crate) later_ones: usize,
    /// The original payload, if a rule changed it.
    original: Option<Payload>,
    /// What to send if the payload is too large for the sink.
    pub(crate) shortened: Option<Payload>,
    /// The original labels, if a notice added some.
    original_labels: Option<Labels>,
    /// The event that it reports.
    pub(crate) report: Option<Box<JobReport>>,
    /// Its hold in the state.
    pub(crate) hold: Option<Hold>,
    /// The reservation to request again after too long a wait, if it holds throttle places.
    pub(crate) gates: Option<Box<Gates>>,
    /// Its wait for a limit, spread among all actions waiting for the same limit, if known.
    pub(crate) turn_in: Option<Duration>,
    /// The pause that the last failing provider asked for.
    pub(crate) retry_after: Option<Duration>,
}

/// A job that waits.
pub(crate) type ParkedJob = Parked<Box<Job>>;

impl Detach for Job {
    /// Also renews the hold, which would expire during a long wait.
    fn detach(&mut self) {
        self.detach_memory();
        if let Some(hold) = &mut self.hold {
            hold.renew();
        }
    }
}

/// The decision of the rules.
pub(crate) struct Ruling {
    pub(crate) verdict: Verdict,
    pub(crate) matched_rule: Option<CompactString>,
    /// Details for the audit trail besides the matched rule.
    pub(crate) details: Option<Box<VerdictDetails>>,
    /// The tallies that count the action once it is settled.
    pub(crate) counts: Vec<Tally>,
    pub(crate) generation: Stamp,
}

/// The target provider, and the attempts so far.
pub(crate) struct Route {
    /// The name of the provider.
    pub(crate) target: CompactString,
    /// Providers with an open breaker or at fault, in the order they were tried.
    pub(crate) refused_by: Vec<CompactString>,
    /// The number of sink calls since the action was read.
    pub(crate) attempts: u32,
    /// The number of sink calls at the current target.
    pub(crate) attempts_at_target: u32,
    /// Its place in a sequence of the target. Boxed, because most jobs have none.
    pub(crate) sequence: Option<Box<SequencePlace>>,
    /// Its redelivery, if planned already.
    pub(crate) returns: Option<PlannedReturn>,
}

/// The redelivery of a job: the wait, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlannedReturn {
    /// The next time of its provider's schedule.
    OnSchedule(Duration),
    /// The return of an earlier action of its sequence. The schedule does not advance.
    Behind(Duration),
}

/// A job ready to be settled.
pub(crate) struct EndedJob {
    pub(crate) job: Box<Job>,
    pub(crate) end: JobEnd,
}

/// How a job ended.
pub(crate) enum JobEnd {
    /// With an outcome. The policy of its source decides how to handle it.
    Outcome(ActionOutcome),
    /// Without an outcome. Its source must submit it again soon.
    Refused { after: Duration, refusal: Refusal },
}

impl Job {
    /// A new job. It stays in its box because it is moved often.
    pub(crate) fn new(delivery: Delivery, generation: Stamp) -> Box<Self> {
        let target = delivery.action.provider.clone();
        Box::new(Self {
            delivery,
            ruling: Ruling {
                verdict: Verdict::Allow,
                matched_rule: None,
                details: None,
                counts: Vec::new(),
                generation,
            },
            route: Route {
                target,
                refused_by: Vec::new(),
                attempts: 0,
                attempts_at_target: 0,
                sequence: None,
                returns: None,
            },
            later_ones: 0,
            original: None,
            shortened: None,
            original_labels: None,
            report: None,
            hold: None,
            gates: None,
            turn_in: None,
            retry_after: None,
        })
    }

    /// Changes the payload for this delivery.
    pub(crate) fn modify(&mut self, payload: Payload) {
        let original = std::mem::replace(&mut self.delivery.action.payload, payload);
        self.original.get_or_insert(original);
    }

    /// Adds labels for this delivery.
    pub(crate) fn add_labels(&mut self, labels: &[(CompactString, CompactString)]) {
        if labels.is_empty() {
            return;
        }
        let pairs = labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        let action = &mut self.delivery.action;
        let with = action.labels.with(pairs);
        let original = std::mem::replace(&mut action.labels, with);
        self.original_labels.get_or_insert(original);
    }

    /// Adds the labels of its notice.
    pub(crate) fn add_notice_labels(&mut self) {
        if let Some(report) = &mut self.report {
            let labels = std::mem::take(&mut report.labels);
            self.add_labels(&labels);
        }
    }

    /// Restores the original payload and labels, because the rules will see the action again.
    pub(crate) fn restore(&mut self) {
        if let Some(original) = self.original.take() {
            self.delivery.action.payload = original;
        }
        if let Some(original) = self.original_labels.take() {
            self.delivery.action.labels = original;
        }
    }

    /// Copies shared memory, and leaves the hold as it is.
    pub(crate) fn detach_memory(&mut self) {
        if self.delivery.memory == Memory::Own {
            return;
        }
        let raw = self.delivery.raw.clone();
        self.delivery.detach();
        let original = self.original.take();
        self.original = original.map(|payload| match raw.is_empty() {
            true => payload.copied(),
            false => payload.moved(&raw, &self.delivery.raw),
        });
    }

    /// The approximate number of bytes it keeps in memory.
    pub(crate) fn bytes(&self) -> u64 {
        let original = self.original.as_ref().map_or(0, Payload::len);
        let own = self
            .delivery
            .raw
            .len()
            .max(self.delivery.action.payload.len());
        (own + original) as u64
    }

    /// Enters its sequence, if it belongs to one.
    pub(crate) fn enter_sequence(&mut self) {
        if let Some(place) = &mut self.route.sequence {
            place.enter();
        }
    }

    /// True if a caller waits for the outcome.
    pub(crate) fn is_answered(&self) -> bool {
        self.delivery.policy.is_answered()
    }

    /// Sends it to another provider. Attempts at the new provider count from zero, and its place in a sequence of the
    /// old one is given up.
    pub(crate) fn redirect(&mut self, target: CompactString) {
        self.route.sequence = None;
        self.route.target = target;
        self.route.attempts_at_target = 0;
    }

    /// Records the rule that decided the outcome.
    pub(crate) fn record_rule(&mut self, verdict: Verdict, rule: &CompactString) {
        self.ruling.verdict = verdict;
        self.ruling.matched_rule = Some(rule.clone());
    }

    /// The number of attempts so far, in this process and before.
    pub(crate) fn attempts(&self) -> u32 {
        match &self.delivery.history {
            Some(history) => history.attempts,
            None => self.route.attempts,
        }
    }

    /// Adds an attempt to the history.
    pub(crate) fn add_attempt(&mut self, attempt: AttemptRecord) {
        self.history(attempt.at).push(attempt);
    }

    /// The history. It begins now if there is none.
    pub(crate) fn history(&mut self, now: Timestamp) -> &mut History {
        let history = &mut self.delivery.history;
        history.get_or_insert_with(|| Box::new(History::beginning(now)))
    }

    /// Ends a job that the sink accepted.
    pub(crate) fn delivered(self: Box<Self>, response: ProviderResponse) -> EndedJob {
        if let Some(report) = &self.report {
            let outcome = report.outcome(NoticeState::Delivered);
            return self.ended(outcome);
        }
        let original_provider = &self.delivery.action.provider;
        let outcome = if self.route.target == *original_provider {
            ActionOutcome::Executed(response)
        } else {
            ActionOutcome::Rerouted {
                original_provider: original_provider.clone(),
                new_provider: self.route.target.clone(),
                response,
            }
        };
        self.ended(outcome)
    }

    /// Ends a job that failed without a call of a sink, or that can be delivered later.
    pub(crate) fn failed(self: Box<Self>, code: FailureCode, message: CompactString) -> EndedJob {
        let failure = Failure {
            code,
            message,
            retryable: !matches!(code, FailureCode::ProviderNotFound),
            attempts: self.attempts(),
        };
        self.ended(ActionOutcome::Failed(failure))
    }

    pub(crate) fn ended(self: Box<Self>, outcome: ActionOutcome) -> EndedJob {
        EndedJob {
            job: self,
            end: JobEnd::Outcome(outcome),
        }
    }

    /// Ends a job that its source must submit again soon.
    pub(crate) fn refused(self: Box<Self>, after: Duration, refusal: Refusal) -> EndedJob {
        EndedJob {
            job: self,
            end: JobEnd::Refused { after, refusal },
        }
    }
}

/// The idempotency key of every attempt. A generated id is unique by itself. A producer's id is unique only together
/// with the other names of the action, and may contain characters that headers cannot carry. It is therefore hashed
/// with them.
pub(crate) fn idempotency_key(delivery: &Delivery) -> Cow<'_, str> {
    let action: &Action = &delivery.action;
    if !delivery.id_given {
        return Cow::Borrowed(&action.id);
    }
    let mut hash = Sha256::new();
    for part in identity(action) {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Cow::Owned(uuid::Uuid::new_v8(bytes).hyphenated().to_string())
}

/// The parts that identify an action with a producer's id. Two actions that differ in any of them are different.
pub(crate) fn identity(action: &Action) -> [&CompactString; 5] {
    [
        &action.namespace,
        &action.tenant,
        &action.action_type,
        &action.provider,
        &action.id,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_fits_a_size_class_of_which_the_allocator_keeps_many() {
        assert!(size_of::<Job>() <= 448, "{}", size_of::<Job>());
    }
}
