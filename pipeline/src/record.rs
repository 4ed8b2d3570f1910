//! What the audit trail says of an action.

use acteon_core::action::{Labels, Payload};
use acteon_core::audit::AuditedOutcome;
use acteon_core::verdict::Verdict;
use acteon_core::{Action, ActionOutcome, AuditRecord};
use jiff::Timestamp;
use uuid::Uuid;

use crate::job::Job;

/// The record of a job that ended now. `payload` is what may be shown of it.
pub(crate) fn of(
    job: &Job,
    outcome: &ActionOutcome,
    payload: Option<Payload>,
    now: Timestamp,
) -> AuditRecord {
    let (delivery, action) = (&job.delivery, &job.delivery.action);
    AuditRecord {
        id: record_id(now),
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
        outcome: AuditedOutcome::from(outcome),
        payload,
        metadata: metadata(action),
        dispatched_at: delivery.received_at,
        completed_at: now,
        expires_at: None,
        caller_id: delivery.caller.id.clone(),
        auth_method: delivery.caller.auth_method,
        source: delivery.position.clone(),
        rules_generation: job.generation,
        trace_id: action.trace_id().map(Into::into),
    }
}

fn record_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

fn metadata(action: &Action) -> Labels {
    let mut labels = action.labels.clone();
    let own = [
        ("__dedup_key", &action.dedup_key),
        ("__fingerprint", &action.fingerprint),
        ("__status", &action.status),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            labels.insert(name, value.clone());
        }
    }
    labels
}
