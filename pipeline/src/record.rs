//! Builds the audit record of an action.

use acteon_core::action::{Labels, Payload};
use acteon_core::audit::{AuditDecision, AuditSubject, AuditedOutcome};
use acteon_core::delivery::Position;
use acteon_core::ids::Ids;
use acteon_core::silence::SILENCE_RULE_PREFIX;
use acteon_core::verdict::Verdict;
use acteon_core::{Action, ActionOutcome, AuditRecord};
use acteon_groups::Member;
use compact_str::CompactString;
use jiff::Timestamp;
use uuid::Uuid;

use crate::job::{Job, Ruling};
use crate::rulebook::Stamp;

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
        subject: subject(action, &job.route.target),
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

/// The record of a member that the flush of its group has left out because of its rule or a silence.
pub(crate) fn of_member(
    member: &Member,
    rule: CompactString,
    payload: Option<Payload>,
    now: Timestamp,
    id: Uuid,
    stamp: Stamp,
) -> AuditRecord {
    let action = &member.action;
    let is_silenced = rule.starts_with(SILENCE_RULE_PREFIX);
    let outcome = ActionOutcome::Suppressed { rule: rule.clone() };
    AuditRecord {
        id,
        subject: subject(action, &action.provider),
        decision: AuditDecision {
            verdict: match is_silenced {
                true => Verdict::Suppress,
                false => Verdict::Group,
            },
            matched_rule: Some(rule),
            details: None,
            rules_generation: stamp.number,
            rules_hash: stamp.hash,
        },
        outcome: AuditedOutcome::from(&outcome),
        payload,
        metadata: metadata(action),
        dispatched_at: member.received_at,
        completed_at: now,
        expires_at: None,
        caller: member.caller.clone(),
        source: Position::from(member.source.as_str()),
        attempts: Vec::new(),
    }
}

fn subject(action: &Action, provider: &CompactString) -> AuditSubject {
    AuditSubject {
        action_id: action.id.clone(),
        namespace: action.namespace.clone(),
        tenant: action.tenant.clone(),
        provider: provider.clone(),
        action_type: action.action_type.clone(),
        trace_id: action.trace_id().map(Into::into),
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
