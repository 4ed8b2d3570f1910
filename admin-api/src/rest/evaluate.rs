//! `/v1/rules/evaluate`: the playground. The action and what to vary are members of one object; each is read from the
//! same bytes by who knows it.

use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, parse_json, read_json};
use acteon_core::Action;
use acteon_core::rules::{EvaluateOptions, Evaluation};
use axum::extract::{Request, State};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use utoipa::ToSchema;

use super::refusals::{Any, Body};
use crate::service::{Access, AdminApi, read_action};

/// An action to try, and beside its own fields what to vary. The former are read by who reads every action.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "an action's fields are here for their names and for the document"
)]
struct EvaluateRequest {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    id: Option<IgnoredAny>,
    #[schema(value_type = String, min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    namespace: IgnoredAny,
    #[schema(value_type = String, min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    tenant: IgnoredAny,
    #[schema(value_type = String, min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    provider: IgnoredAny,
    #[schema(value_type = String, min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    action_type: IgnoredAny,
    /// Any JSON, `null` too; at most 64 levels deep.
    #[schema(value_type = Value)]
    payload: IgnoredAny,
    /// The labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<IgnoredAny>,
    /// What a dedup rule without a key of its own uses.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    dedup_key: Option<IgnoredAny>,
    /// The state an event asks to move to.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    status: Option<IgnoredAny>,
    /// Overrides the computed one.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    fingerprint: Option<IgnoredAny>,
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<IgnoredAny>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<IgnoredAny>,
    /// Now, when it is not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<IgnoredAny>,
    /// W3C `traceparent` and `tracestate`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    trace_context: Option<IgnoredAny>,
    /// Disabled rules take part.
    include_disabled: Option<bool>,
    /// Later rules are tried even after one has decided.
    evaluate_all: Option<bool>,
    /// The time that `time.*` and `now` show; now, when it is not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    evaluate_at: Option<Timestamp>,
    /// What the state is taken to hold, in place of what it does: to the key of a tally a count or whether it was seen,
    /// to a fingerprint the state of the event, to an event type whether one is active or a list of the values it is
    /// active for.
    #[schema(value_type = Option<Object>)]
    mock_state: Option<Value>,
}

impl From<EvaluateRequest> for EvaluateOptions {
    fn from(request: EvaluateRequest) -> Self {
        Self {
            include_disabled: request.include_disabled.unwrap_or_default(),
            evaluate_all: request.evaluate_all.unwrap_or_default(),
            evaluate_at: request.evaluate_at,
            mock_state: request.mock_state,
        }
    }
}

/// What the rules in force say about an action, and why; changes nothing
///
/// Nothing is delivered, reserved, recorded or counted. What rules want to know of the state is read from it, or from
/// `mock_state` alone when that is given; `context.state` says what it was.
#[utoipa::path(
    post,
    path = "/v1/rules/evaluate",
    operation_id = "evaluate_rules",
    tag = "rules",
    request_body(content = EvaluateRequest, example = json!({
        "namespace": "shop",
        "tenant": "acme",
        "provider": "email",
        "action_type": "order_placed",
        "payload": {"amount": 120},
        "metadata": {"env": "prod"},
        "evaluate_all": true,
        "evaluate_at": "2026-01-01T09:00:00Z",
        "mock_state": {"orders of acme": 5},
    })),
    responses(
        (status = 200, description = "The verdict, and what each rule did.", body = Evaluation, example = json!({
            "verdict": "suppress",
            "matched_rule": "mute-tests",
            "has_errors": false,
            "total_rules_evaluated": 2,
            "total_rules_skipped": 8,
            "evaluation_duration_us": 3,
            "trace": [{
                "rule_name": "mute-tests",
                "priority": 10,
                "enabled": true,
                "condition_display": "action.metadata.env eq: \"test\"",
                "result": "matched",
                "evaluation_duration_us": 1,
                "action": "suppress",
                "source": "10-mute.yaml",
                "description": "Nobody wants to see these",
                "skip_reason": null,
                "error": null,
                "reason": null,
                "metadata": {},
            }],
            "context": {
                "now": 1_767_258_000,
                "timezone": "UTC",
                "time": {"hour": 9, "weekday": "Thursday"},
                "state": [{
                    "key": "orders of acme",
                    "within_seconds": 86400,
                    "count": 5,
                    "last_seconds_ago": 0.0,
                }],
            },
            "modified_payload": null,
        })),
        Body,
        (status = 403, description = "The action belongs to a namespace, tenant or type that you may not touch.",
            body = ErrorBody, example = json!({
            "code": "FORBIDDEN",
            "message": "the action lies outside of what you may touch",
            "retryable": false,
        })),
        (status = 422, description = "JSON, but not an action; the message names the field.",
            body = ErrorBody, example = json!({
            "code": "INVALID_ACTION", "message": "`tenant`: is missing", "retryable": false,
        })),
        (status = 503, description = "Rules want to know something of the state, which cannot be reached; `Retry-After` \
            says when to try again.", headers(("Retry-After" = u64, description = "Seconds to wait.")),
            body = ErrorBody, example = json!({
            "code": "STATE_UNAVAILABLE",
            "message": "the state backend cannot be reached",
            "retryable": true,
            "retry_after": 1,
        })),
        Any,
    )
)]
pub(super) async fn evaluate(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
    request: Request,
) -> Result<Json<Evaluation>, ApiError> {
    let body = read_json(request).await?;
    let (action, options) = read_evaluation(&body, api.now())?;
    let evaluation = api.evaluate(&access, &action, &options).await?;
    Ok(Json(evaluation))
}

/// The action in a body, and what to vary. An action that does not say when it was made was made `now`.
///
/// # Errors
/// When the body is neither.
pub fn read_evaluation(
    body: &Bytes,
    now: Timestamp,
) -> Result<(Action, EvaluateOptions), ApiError> {
    let action = read_action(body, now)?;
    let request: EvaluateRequest = parse_json(body)?;
    Ok((action, request.into()))
}
