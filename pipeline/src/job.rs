//! An action on its way through the pipeline, with what has been decided about it so far.

use std::borrow::Cow;
use std::time::Duration;

use acteon_core::state::Tally;
use acteon_core::verdict::{Verdict, VerdictDetails};
use acteon_core::{Action, ActionOutcome, Delay, Delivery, Payload, ProviderResponse, Refusal};
use compact_str::CompactString;
use sha2::{Digest, Sha256};

use crate::events;
use crate::leases::Lease;
use crate::rulebook::Stamp;

/// An action between decision and settlement.
pub(crate) struct Job {
    /// The action on loan; its payload is as the rules left it.
    pub(crate) delivery: Delivery,
    pub(crate) verdict: Verdict,
    pub(crate) matched_rule: Option<CompactString>,
    /// What the audit trail says beside the matched rule.
    pub(crate) verdict_details: Option<Box<VerdictDetails>>,
    /// Where it counts once it is settled.
    pub(crate) notes: Vec<Tally>,
    pub(crate) generation: Stamp,
    /// The payload as it came, when a rule has changed it.
    original: Option<Payload>,
    /// What is held for it in the state.
    pub(crate) lease: Option<Lease>,
    /// The name of the provider that is to deliver it.
    pub(crate) target: CompactString,
    /// Providers whose breaker was open, in the order they were asked.
    pub(crate) refused_by: Vec<CompactString>,
    /// How often a sink was asked.
    pub(crate) attempts: u32,
    /// How often the present target was asked.
    pub(crate) attempts_at_target: u32,
}

/// A job whose outcome is known and which is to be settled.
pub(crate) struct Ended {
    pub(crate) job: Box<Job>,
    pub(crate) outcome: ActionOutcome,
}

impl Job {
    /// A job that nothing is known of yet. It stays in its box: it goes through many hands.
    pub(crate) fn new(delivery: Delivery, generation: Stamp) -> Box<Self> {
        let target = delivery.action.provider.clone();
        Box::new(Self {
            delivery,
            verdict: Verdict::Allow,
            matched_rule: None,
            verdict_details: None,
            notes: Vec::new(),
            generation,
            original: None,
            lease: None,
            target,
            refused_by: Vec::new(),
            attempts: 0,
            attempts_at_target: 0,
        })
    }

    /// Changes the payload for this delivery.
    pub(crate) fn modify(&mut self, payload: Payload) {
        let original = std::mem::replace(&mut self.delivery.action.payload, payload);
        self.original.get_or_insert(original);
    }

    /// Prepares it for a wait: it keeps no memory of others.
    pub(crate) fn detach(&mut self) {
        let raw = self.delivery.raw.clone();
        self.delivery.detach();
        let original = self.original.take();
        self.original = original.map(|payload| payload.moved(&raw, &self.delivery.raw));
    }

    /// Gives it back to its source, as it came: the rules will see it again.
    pub(crate) fn retry(mut self, after: Duration, refusal: Refusal) {
        if let Some(original) = self.original.take() {
            self.delivery.action.payload = original;
        }
        events::returned(refusal);
        self.delivery.retry(after, refusal);
    }

    /// Sends it by the delayed path of its source, as it came.
    pub(crate) fn later(mut self, after: Duration, delay: Delay) {
        if let Some(original) = self.original.take() {
            self.delivery.action.payload = original;
        }
        self.delivery.later(after, delay);
    }

    /// Sends it to another provider, whose attempts are counted from the start.
    pub(crate) fn redirect(&mut self, target: CompactString) {
        self.target = target;
        self.attempts_at_target = 0;
    }

    /// Blames a rule for what becomes of it.
    pub(crate) fn ruled(&mut self, verdict: Verdict, rule: &CompactString) {
        self.verdict = verdict;
        self.matched_rule = Some(rule.clone());
    }

    /// The end of one that the sink took.
    pub(crate) fn delivered(self: Box<Self>, response: ProviderResponse) -> Ended {
        let original_provider = &self.delivery.action.provider;
        let outcome = if self.target == *original_provider {
            ActionOutcome::Executed(response)
        } else {
            ActionOutcome::Rerouted {
                original_provider: original_provider.clone(),
                new_provider: self.target.clone(),
                response,
            }
        };
        self.ended(outcome)
    }

    pub(crate) fn ended(self: Box<Self>, outcome: ActionOutcome) -> Ended {
        Ended { job: self, outcome }
    }
}

/// The key that every attempt carries. An id that Acteon made is unique by itself. One that a producer gave is
/// unique only inside its namespace and tenant, and may hold what no header can: it is hashed with both.
pub(crate) fn idempotency_key(delivery: &Delivery) -> Cow<'_, str> {
    let action: &Action = &delivery.action;
    if !delivery.id_given {
        return Cow::Borrowed(&action.id);
    }
    let mut hash = Sha256::new();
    for part in [&action.namespace, &action.tenant, &action.id] {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Cow::Owned(uuid::Uuid::new_v8(bytes).hyphenated().to_string())
}
