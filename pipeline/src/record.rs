//! What the audit trail says of an action.

use acteon_core::action::{Labels, Payload};
use acteon_core::audit::AuditedOutcome;
use acteon_core::verdict::Verdict;
use acteon_core::{Action, ActionOutcome, AuditRecord};
use jiff::Timestamp;
use uuid::Uuid;

use crate::job::Job;

/// Gives the records of one batch their time and their ids. Those rise, so that a backend finds places for them side
/// by side; where they begin is left to chance.
pub(crate) struct Numbering {
    now: Timestamp,
    chance: [u8; 2],
    next: u64,
}

impl Numbering {
    /// For the records of a batch that ended now.
    pub(crate) fn of_batch(now: Timestamp) -> Self {
        let (chance, next) = rand::random();
        Self { now, chance, next }
    }

    fn next(&mut self) -> Uuid {
        let millis = u64::try_from(self.now.as_millisecond()).unwrap_or_default();
        let [first, second] = self.chance;
        let [a, b, c, d, e, f, g, h] = self.next.to_be_bytes();
        self.next = self.next.wrapping_add(1);
        let chance = [first, second, a, b, c, d, e, f, g, h];
        uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
    }
}

/// The record of a job that has ended. `payload` is what may be shown of it.
pub(crate) fn of(
    job: &Job,
    outcome: &ActionOutcome,
    payload: Option<Payload>,
    numbering: &mut Numbering,
) -> AuditRecord {
    let (delivery, action) = (&job.delivery, &job.delivery.action);
    AuditRecord {
        id: numbering.next(),
        action_id: action.id.clone(),
        namespace: action.namespace.clone(),
        tenant: action.tenant.clone(),
        provider: job.target.clone(),
        action_type: action.action_type.clone(),
        verdict: job.verdict,
        // A rule that allows has changed nothing; the trail names those that did.
        matched_rule: job
            .matched_rule
            .clone()
            .filter(|_| job.verdict != Verdict::Allow),
        verdict_details: job.verdict_details.clone(),
        outcome: AuditedOutcome::from(outcome),
        payload,
        metadata: metadata(action),
        dispatched_at: delivery.received_at,
        completed_at: numbering.now,
        expires_at: None,
        caller_id: delivery.caller.id.clone(),
        auth_method: delivery.caller.auth_method,
        source: delivery.position.clone(),
        rules_generation: job.generation.number,
        rules_hash: job.generation.hash,
        trace_id: action.trace_id().map(Into::into),
    }
}

fn metadata(action: &Action) -> Labels {
    let own = [
        ("__dedup_key", &action.dedup_key),
        ("__fingerprint", &action.fingerprint),
        ("__status", &action.status),
    ];
    let own = own
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)));
    action.labels.with(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_batch_differ_and_rise_and_tell_the_time() {
        let now = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let mut numbering = Numbering::of_batch(now);
        let ids: Vec<_> = (0..1000).map(|_| numbering.next()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(
                &id.as_bytes()[..6],
                &1_700_000_000_123u64.to_be_bytes()[2..]
            );
        }
        let other = Numbering::of_batch(now).next();
        assert_ne!(other, numbering.next());
    }
}
