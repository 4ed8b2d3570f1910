//! An action on its way through the pipeline, with what has been decided about it so far.

use std::borrow::Cow;
use std::time::Duration;

use acteon_core::state::Tally;
use acteon_core::verdict::{Verdict, VerdictDetails};
use acteon_core::{
    Action, ActionOutcome, AttemptRecord, Delivery, Failure, FailureCode, History, Memory, Payload,
    ProviderResponse, Refusal,
};
use acteon_rules::Gates;
use compact_str::CompactString;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::hold::Hold;
use crate::rulebook::Stamp;

/// An action between decision and settlement. There are two ways out: [`Pipeline::settle`] takes an [`Ended`] one, and
/// dropping one gives the action back to its source and what it holds back to the state.
///
/// [`Pipeline::settle`]: crate::process::Pipeline::settle
pub(crate) struct Job {
    /// The action on loan; its payload is as the rules left it.
    pub(crate) delivery: Delivery,
    pub(crate) ruling: Ruling,
    pub(crate) route: Route,
    /// The payload as it came, when a rule has changed it.
    original: Option<Payload>,
    /// What is held for it in the state.
    pub(crate) hold: Option<Hold>,
    /// What it has to ask for again when it waits too long, where that is so.
    pub(crate) gates: Option<Box<Gates>>,
    /// How long it waits for a limit, with all others that wait for it, where that is known.
    pub(crate) turn_in: Option<Duration>,
    /// How long the provider that failed last wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// What the rules said.
pub(crate) struct Ruling {
    pub(crate) verdict: Verdict,
    pub(crate) matched_rule: Option<CompactString>,
    /// What the audit trail says beside the matched rule.
    pub(crate) details: Option<Box<VerdictDetails>>,
    /// Where the action counts once it is settled.
    pub(crate) notes: Vec<Tally>,
    pub(crate) generation: Stamp,
}

/// Which provider is to deliver, and how far it came.
pub(crate) struct Route {
    /// The name of the provider.
    pub(crate) target: CompactString,
    /// Providers whose breaker was open, in the order they were asked.
    pub(crate) refused_by: Vec<CompactString>,
    /// How often a sink was asked since the action was read.
    pub(crate) attempts: u32,
    /// How often the present target was asked.
    pub(crate) attempts_at_target: u32,
}

/// A job that is to be settled.
pub(crate) struct Ended {
    pub(crate) job: Box<Job>,
    pub(crate) ending: Ending,
}

/// How a job ended.
pub(crate) enum Ending {
    /// With an outcome. What its source does with it is up to its policy.
    Outcome(ActionOutcome),
    /// Without one: its source is to offer it again soon.
    Refused { after: Duration, refusal: Refusal },
}

impl Job {
    /// A job that nothing is known of yet. It stays in its box: it goes through many hands.
    pub(crate) fn new(delivery: Delivery, generation: Stamp) -> Box<Self> {
        let target = delivery.action.provider.clone();
        Box::new(Self {
            delivery,
            ruling: Ruling {
                verdict: Verdict::Allow,
                matched_rule: None,
                details: None,
                notes: Vec::new(),
                generation,
            },
            route: Route {
                target,
                refused_by: Vec::new(),
                attempts: 0,
                attempts_at_target: 0,
            },
            original: None,
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

    /// Gives the action the payload back that it came with: the rules will see it again.
    pub(crate) fn restore(&mut self) {
        if let Some(original) = self.original.take() {
            self.delivery.action.payload = original;
        }
    }

    /// Prepares it for a wait: it keeps no memory of others, and what it holds is renewed.
    pub(crate) fn detach(&mut self) {
        self.detach_memory();
        if let Some(hold) = &mut self.hold {
            hold.renew();
        }
    }

    /// Gives it memory of its own.
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

    /// How many bytes it keeps in memory, about.
    pub(crate) fn bytes(&self) -> u64 {
        let original = self.original.as_ref().map_or(0, Payload::len);
        let own = self
            .delivery
            .raw
            .len()
            .max(self.delivery.action.payload.len());
        (own + original) as u64
    }

    /// True when somebody waits for the outcome.
    pub(crate) fn is_answered(&self) -> bool {
        self.delivery.policy.is_answered()
    }

    /// Sends it to another provider, whose attempts are counted from the start.
    pub(crate) fn redirect(&mut self, target: CompactString) {
        self.route.target = target;
        self.route.attempts_at_target = 0;
    }

    /// Records the rule that decided the outcome.
    pub(crate) fn ruled(&mut self, verdict: Verdict, rule: &CompactString) {
        self.ruling.verdict = verdict;
        self.ruling.matched_rule = Some(rule.clone());
    }

    /// What was tried so far, in this process and before.
    pub(crate) fn attempts(&self) -> u32 {
        match &self.delivery.history {
            Some(history) => history.attempts,
            None => self.route.attempts,
        }
    }

    /// Adds an attempt to the history.
    pub(crate) fn remember(&mut self, attempt: AttemptRecord) {
        self.history(attempt.at).push(attempt);
    }

    /// The history, which begins now when there is none.
    pub(crate) fn history(&mut self, now: Timestamp) -> &mut History {
        let history = &mut self.delivery.history;
        history.get_or_insert_with(|| Box::new(History::beginning(now)))
    }

    /// The end of one that the sink took.
    pub(crate) fn delivered(self: Box<Self>, response: ProviderResponse) -> Ended {
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

    /// The end of one that no sink was asked for, or that could be delivered later.
    pub(crate) fn failed(self: Box<Self>, code: FailureCode, message: CompactString) -> Ended {
        let failure = Failure {
            code,
            message,
            retryable: !matches!(code, FailureCode::ProviderNotFound),
            attempts: self.attempts(),
        };
        self.ended(ActionOutcome::Failed(failure))
    }

    pub(crate) fn ended(self: Box<Self>, outcome: ActionOutcome) -> Ended {
        Ended {
            job: self,
            ending: Ending::Outcome(outcome),
        }
    }

    /// The end of one that its source is to offer again soon.
    pub(crate) fn refused(self: Box<Self>, after: Duration, refusal: Refusal) -> Ended {
        Ended {
            job: self,
            ending: Ending::Refused { after, refusal },
        }
    }
}

/// The key that every attempt carries. An id that Acteon made is unique by itself. One that a producer gave is
/// unique only with what else names the action, and may hold what no header can: it is hashed with that.
pub(crate) fn idempotency_key(delivery: &Delivery) -> Cow<'_, str> {
    let action: &Action = &delivery.action;
    if !delivery.id_given {
        return Cow::Borrowed(&action.id);
    }
    let mut hash = Sha256::new();
    for part in naming(action) {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Cow::Owned(uuid::Uuid::new_v8(bytes).hyphenated().to_string())
}

/// What names an action whose producer gave its id: two that differ in any of these are two.
pub(crate) fn naming(action: &Action) -> [&CompactString; 5] {
    [
        &action.namespace,
        &action.tenant,
        &action.action_type,
        &action.provider,
        &action.id,
    ]
}
