//! The JSON of an audit record. It has all fields; reserved ones are `null`.

use std::borrow::Cow;

use acteon_core::audit::AuditedOutcome;
use acteon_core::delivery::Position;
use acteon_core::verdict::VerdictDetails;
use acteon_core::{AttemptRecord, AuditRecord, Labels, Payload, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// The outcome of an action or of an administrative change.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Outcome)]
pub(super) enum OutcomeName {
    Executed,
    Deduplicated,
    Suppressed,
    Rerouted,
    Throttled,
    Failed,
    Grouped,
    StateChanged,
    CircuitOpen,
    /// The rules were reloaded.
    Reloaded,
    /// A rule was enabled.
    Enabled,
    /// A rule was disabled.
    Disabled,
    /// A dead letter was replayed.
    Replayed,
    /// A dead letter was deleted.
    Deleted,
    /// A breaker was opened by hand.
    Opened,
    /// A breaker was closed by hand.
    Closed,
    /// A test message was sent.
    Tested,
    /// A silence was created.
    Created,
    /// A silence was changed.
    Changed,
    /// A silence was ended by hand.
    Ended,
}

/// One decision or administrative change.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(super) struct AuditRecordJson<'a> {
    /// A UUID v7.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// The id of the action. An administrative change has its own.
    action_id: &'a str,
    /// Empty for an administrative change that belongs to no namespace.
    namespace: &'a str,
    /// Empty for an administrative change that belongs to no tenant.
    tenant: &'a str,
    /// The provider that handled the action.
    provider: &'a str,
    /// The action's type, or the name of the administrative change.
    action_type: &'a str,
    /// Reserved.
    #[schema(required)]
    chain_id: Option<String>,
    verdict: Verdict,
    /// The rule that decided; `null` for the verdict `allow`.
    #[schema(required)]
    matched_rule: Option<&'a str>,
    #[schema(value_type = OutcomeName)]
    outcome: &'a str,
    /// The payload as delivered, redacted; `null` if payloads are not stored.
    #[schema(required, value_type = Value)]
    action_payload: Option<&'a Payload>,
    /// Explains the verdict if the verdict and its rule are not the whole explanation.
    #[schema(required, value_type = Option<VerdictDetails>)]
    verdict_details: Option<&'a VerdictDetails>,
    /// The details of the outcome.
    #[schema(value_type = Object)]
    outcome_details: &'a AuditedOutcome,
    /// The labels, with `__dedup_key`, `__fingerprint` and `__status` if the action had them.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: &'a Labels,
    #[schema(value_type = String, format = DateTime)]
    dispatched_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    completed_at: Timestamp,
    /// The time from `dispatched_at` to `completed_at`.
    duration_ms: i64,
    /// The last attempts to deliver the action, oldest first; at most 16.
    #[schema(value_type = Vec<AttemptRecord>)]
    attempts: Cow<'a, [AttemptRecord]>,
    /// When the record expires; `null` if never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(required)]
    caller_id: Option<&'a str>,
    /// `jwt`, `api_key`, `anonymous` or `source`.
    auth_method: &'static str,
    /// The position in the source; `admin` for an administrative change.
    #[schema(value_type = String)]
    source: &'a Position,
    /// The generation of the rules that decided.
    rules_generation: u64,
    /// The first 16 hex digits of the hash that `GET /v1/rules` shows.
    rules_content_hash: String,
    /// The trace id of the action's W3C trace context, 32 hex digits.
    #[schema(required)]
    trace_id: Option<&'a str>,
    /// Reserved for the hash chain.
    #[schema(required)]
    record_hash: Option<String>,
    /// Reserved for the hash chain.
    #[schema(required)]
    previous_hash: Option<String>,
    /// Reserved for the hash chain.
    #[schema(required)]
    sequence_number: Option<u64>,
}

impl<'a> AuditRecordJson<'a> {
    pub(super) fn of(record: &'a AuditRecord) -> Self {
        let duration = record.completed_at.duration_since(record.dispatched_at);
        Self {
            id: record.id,
            action_id: &record.subject.action_id,
            namespace: &record.subject.namespace,
            tenant: &record.subject.tenant,
            provider: &record.subject.provider,
            action_type: &record.subject.action_type,
            chain_id: None,
            verdict: record.decision.verdict,
            matched_rule: record.decision.matched_rule.as_deref(),
            outcome: record.outcome.name(),
            action_payload: record.payload.as_ref(),
            verdict_details: record.decision.details.as_deref(),
            outcome_details: &record.outcome,
            metadata: &record.metadata,
            dispatched_at: record.dispatched_at,
            completed_at: record.completed_at,
            duration_ms: i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
            attempts: attempts(record),
            expires_at: record.expires_at,
            caller_id: record.caller.id.as_deref(),
            auth_method: record.caller.auth_method,
            source: &record.source,
            rules_generation: record.decision.rules_generation,
            rules_content_hash: record.decision.rules_hash.to_string(),
            trace_id: record.subject.trace_id.as_deref(),
            record_hash: None,
            previous_hash: None,
            sequence_number: None,
        }
    }
}

/// The attempts of a record. A successful first attempt is not stored, so it is derived from the outcome.
fn attempts(record: &AuditRecord) -> Cow<'_, [AttemptRecord]> {
    let is_delivered = match &record.outcome {
        AuditedOutcome::Executed { .. } | AuditedOutcome::Rerouted { .. } => true,
        // An outcome that a backend has read from its storage.
        AuditedOutcome::Other(name, _) => matches!(name.as_str(), "executed" | "rerouted"),
        AuditedOutcome::Failed { .. }
        | AuditedOutcome::Suppressed { .. }
        | AuditedOutcome::Throttled { .. }
        | AuditedOutcome::Grouped { .. }
        | AuditedOutcome::StateChanged { .. }
        | AuditedOutcome::CircuitOpen { .. }
        | AuditedOutcome::Deduplicated {} => false,
    };
    if !is_delivered || !record.attempts.is_empty() {
        return Cow::Borrowed(&record.attempts);
    }
    Cow::Owned(vec![AttemptRecord {
        at: record.completed_at,
        provider: record.subject.provider.clone(),
        status: None,
        code: None,
        duration_ms: 0,
        excerpt: None,
    }])
}

/// A sample record for the document.
pub(super) fn example() -> Value {
    json!({
        "id": "0198c0de-0000-7000-8000-000000000000",
        "action_id": "order-7",
        "namespace": "shop",
        "tenant": "acme",
        "provider": "email",
        "action_type": "order_placed",
        "chain_id": null,
        "verdict": "throttle",
        "matched_rule": "not-too-many",
        "outcome": "executed",
        "action_payload": {"amount": 120, "token": "[REDACTED]"},
        "verdict_details": {"matched": ["mark", "not-too-many"], "reason": null, "errors": []},
        "outcome_details": {"status": "success"},
        "metadata": {"env": "prod"},
        "dispatched_at": "2026-01-01T00:00:00.000123Z",
        "completed_at": "2026-01-01T00:00:00.012456Z",
        "duration_ms": 12,
        "attempts": [{
            "at": "2026-01-01T00:00:00.008456Z",
            "provider": "email",
            "status": 503,
            "code": "EXECUTION_FAILED",
            "duration_ms": 4,
            "excerpt": "{\"error\":\"busy\"}",
        }, {
            "at": "2026-01-01T00:00:00.012456Z",
            "provider": "email",
            "status": null,
            "code": null,
            "duration_ms": 3,
            "excerpt": null,
        }],
        "expires_at": "2026-01-31T00:00:00.012456Z",
        "caller_id": null,
        "auth_method": "anonymous",
        "source": "http",
        "rules_generation": 3,
        "rules_content_hash": "9f86d081884c7d65",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "record_hash": null,
        "previous_hash": null,
        "sequence_number": null,
    })
}
