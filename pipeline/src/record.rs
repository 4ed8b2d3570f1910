//! Builds the audit record of an action.

use acteon_core::action::{Labels, Payload};
use acteon_core::audit::{AuditDecision, AuditSubject, AuditedOutcome};
use acteon_core::ids::Ids;
use acteon_core::verdict::Verdict;
use acteon_core::{Action, ActionOutcome, AuditRecord};
use jiff::Timestamp;

use crate::job::{Job, Ruling};

/// The record of an ended job. `payload` is its visible form.
pub(crate) fn of(
    job: &Job,
    outcome: &ActionOutcome,
    payload: Option<Payload>,
    now: Timestamp,
    ids: &mut Ids,
) -> AuditRecord {
    let delivery = &job.delivery;
    let action = &delivery.action;
    AuditRecord {
        id: ids.uuid(),
        subject: AuditSubject {
            action_id: action.id.clone(),
            namespace: action.namespace.clone(),
            tenant: action.tenant.clone(),
            provider: job.route.target.clone(),
            action_type: action.action_type.clone(),
            trace_id: action.trace_id().map(Into::into),
        },
        decision: decision(&job.ruling),
        outcome: AuditedOutcome::from(outcome),
        payload,
        metadata: metadata(action),
        dispatched_at: delivery.received_at,
        completed_at: now,
        expires_at: None,
        caller: delivery.caller.clone(),
        source: delivery.position.clone(),
        attempts: delivery
            .history
            .as_deref()
            .map_or_else(Vec::new, |history| history.last.iter().cloned().collect()),
    }
}

fn decision(ruling: &Ruling) -> AuditDecision {
    AuditDecision {
        verdict: ruling.verdict,
        // A rule that allows has changed nothing. The trail names only rules that changed something.
        matched_rule: ruling
            .matched_rule
            .clone()
            .filter(|_| ruling.verdict != Verdict::Allow),
        details: ruling.details.clone(),
        rules_generation: ruling.generation.number,
        rules_hash: ruling.generation.hash,
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
