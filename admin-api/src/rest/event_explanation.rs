//! `/v1/events/{fingerprint}/explain`: why there was a notice about an event, or why there was none.

use acteon_connect_http::responses::{InternalError, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, Path, Query};
use acteon_core::attempt::AttemptRecord;
use acteon_core::verdict::Verdict;
use acteon_core::{AuditRecord, audit::AuditedOutcome};
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::errors::BackendUnavailable;
use super::event_states::{EventScope, TransitionJson};
use crate::service::{Access, AdminApi, EventExplanation};

/// What is known about an event and its notices.
#[derive(Serialize, ToSchema)]
#[schema(as = EventExplanation)]
pub(super) struct ExplanationJson {
    #[schema(value_type = String)]
    fingerprint: CompactString,
    /// The present state. `null` if no report of the event has counted, because a rule or a group took each before
    /// the machine.
    #[schema(required, value_type = Option<String>)]
    state: Option<CompactString>,
    /// The newest records about the event in the audit trail, at most 20, newest first. A report that a rule or a group
    /// took before the machine is recognised by its labels. Empty without an audit trail.
    reports: Vec<ReportJson>,
    /// How many records of the event's type were searched for them, at most 5,000.
    examined: usize,
    /// The last fifty transitions, oldest first. One whose notice was refused was not announced.
    transitions: Vec<TransitionJson>,
    /// The rule whose machine the newest counted report used.
    #[schema(required, value_type = Option<String>)]
    rule: Option<CompactString>,
    /// The silence that withholds the notice of the present state, else the one that withheld that of the newest
    /// counted report.
    #[schema(required, value_type = Option<String>)]
    silenced_by: Option<CompactString>,
    /// The rule that suppressed the newest report.
    #[schema(required, value_type = Option<String>)]
    inhibited_by: Option<CompactString>,
    /// The group that the newest grouped report joined: `{group_id, group_size, notify_at}`.
    #[schema(required, value_type = Option<Object>)]
    group: Option<AuditedOutcome>,
    /// The attempts of the newest record that has any.
    #[schema(value_type = Vec<Object>)]
    attempts: Vec<AttemptRecord>,
    /// When the next timeout is due.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    next_timer: Option<Timestamp>,
}

/// A record about an event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventReport)]
pub(super) struct ReportJson {
    #[schema(value_type = String)]
    action_id: CompactString,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    verdict: Verdict,
    #[schema(required, value_type = Option<String>)]
    matched_rule: Option<CompactString>,
    outcome: String,
    /// As in the audit record.
    #[schema(value_type = Object)]
    outcome_details: AuditedOutcome,
    #[schema(value_type = String)]
    provider: CompactString,
    /// The position in the source, `timeouts` or `admin`.
    source: String,
}

impl From<&AuditRecord> for ReportJson {
    fn from(record: &AuditRecord) -> Self {
        Self {
            action_id: record.subject.action_id.clone(),
            at: record.dispatched_at,
            verdict: record.decision.verdict,
            matched_rule: record.decision.matched_rule.clone(),
            outcome: record.outcome.name().to_owned(),
            outcome_details: record.outcome.clone(),
            provider: record.subject.provider.clone(),
            source: record.source.to_string(),
        }
    }
}

impl From<EventExplanation> for ExplanationJson {
    fn from(found: EventExplanation) -> Self {
        let attempts = found.attempted().map(|record| record.attempts.clone());
        let details = found.details.as_ref();
        Self {
            fingerprint: found.event.fingerprint.clone(),
            state: found.state.clone(),
            reports: found.reports.iter().map(|one| (&**one).into()).collect(),
            examined: found.examined,
            rule: found.rule().cloned(),
            silenced_by: found.silenced_by(),
            inhibited_by: found.inhibited_by().cloned(),
            group: found.grouped().map(|record| record.outcome.clone()),
            attempts: attempts.unwrap_or_default(),
            next_timer: details.and_then(|details| details.next_timer),
            transitions: found.transitions().into_iter().map(Into::into).collect(),
        }
    }
}

fn example() -> Value {
    json!({
        "fingerprint": "disk-full",
        "state": "firing",
        "reports": [{
            "action_id": "alert-7", "at": "2026-01-01T09:00:00Z", "verdict": "state_machine", "matched_rule": "alerts",
            "outcome": "state_changed",
            "outcome_details": {
                "fingerprint": "disk-full", "previous_state": "open", "new_state": "firing", "notify": false,
                "silenced_by": "0198c0de-0000-7000-8000-000000000000",
            },
            "provider": "pager", "source": "http",
        }],
        "examined": 12,
        "transitions": [{
            "at": "2026-01-01T09:00:00Z", "from": "open", "to": "firing", "cause": "report", "by": "alert-7",
            "note": null, "notified": false, "silenced_by": "0198c0de-0000-7000-8000-000000000000",
        }],
        "rule": "alerts",
        "silenced_by": "0198c0de-0000-7000-8000-000000000000",
        "inhibited_by": null,
        "group": null,
        "attempts": [],
        "next_timer": "2026-01-01T10:00:00Z",
    })
}

/// Why there was a notice about an event, or why there was none
#[utoipa::path(
    get,
    path = "/v1/events/{fingerprint}/explain",
    operation_id = "explain_event",
    tag = "events",
    params(
        ("fingerprint" = String, Path, description = "The event's fingerprint, percent-encoded.", example = "disk-full"),
        EventScope,
    ),
    responses(
        (status = 200, description = "What is known.", body = ExplanationJson, example = json!(example())),
        InvalidQuery,
        (status = 404, description = "There is neither such an event nor a record of it.", body = ErrorBody,
            example = json!({
            "code": "EVENT_NOT_FOUND", "message": "there is no event with the fingerprint \"disk-full\"",
            "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn explain(
    State(api): State<AdminApi>,
    access: Access,
    Path(fingerprint): Path<String>,
    Query(scope): Query<EventScope>,
) -> Result<Json<ExplanationJson>, ApiError> {
    let event = scope.event(fingerprint)?;
    Ok(Json(api.explain(&access, &event).await?.into()))
}
