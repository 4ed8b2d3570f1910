//! Builds the audit record of an action.

use acteon_core::action::{Labels, Payload};
use acteon_core::audit::AuditedOutcome;
use acteon_core::ids::Ids;
use acteon_core::verdict::Verdict;
use acteon_core::{Action, ActionOutcome, AuditRecord};
use jiff::Timestamp;

use crate::job::Job;

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
        action_id: action.id.clone(),
        namespace: action.namespace.clone(),
        tenant: action.tenant.clone(),
        provider: job.route.target.clone(),
        action_type: action.action_type.clone(),
        verdict: job.ruling.verdict,
        // A rule that allows has changed nothing. The trail names only rules that changed something.
        matched_rule: job
            .ruling
            .matched_rule
            .clone()
            .filter(|_| job.ruling.verdict != Verdict::Allow),
        verdict_details: job.ruling.details.clone(),
        outcome: AuditedOutcome::from(outcome),
        payload,
        metadata: metadata(action),
        dispatched_at: delivery.received_at,
        completed_at: now,
        expires_at: None,
        caller_id: delivery.caller.id.clone(),
        auth_method: delivery.caller.auth_method,
        source: delivery.position.clone(),
        rules_generation: job.ruling.generation.number,
        rules_hash: job.ruling.generation.hash,
        trace_id: action.trace_id().map(Into::into),
        attempts: delivery
            .history
            .as_deref()
            .map_or_else(Vec::new, |history| history.last.iter().cloned().collect()),
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
