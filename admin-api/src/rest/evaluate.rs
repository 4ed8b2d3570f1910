//! `/v1/rules/evaluate`: the playground. The action and the options are members of one object, which is parsed once for
//! each.

use acteon_connect_http::responses::{InternalError, InvalidAction, InvalidBody, NotAdmitted};
use acteon_connect_http::{
    ApiError, BodyPermit, ErrorBody, Json, NoQuery, parse_json, read_json_within,
};
use acteon_core::rules::{EvaluateOptions, Evaluation};
use acteon_core::{Action, Time};
use axum::extract::{Request, State};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use utoipa::ToSchema;

use crate::service::{ADMISSION_TIMEOUT, Access, AdminApi, read_action};

/// An action to evaluate, and the options of the evaluation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the core parses the fields of the action; they are here for their names and for the document"
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
    /// Any JSON, including `null`; at most 64 levels deep.
    #[schema(value_type = Value)]
    payload: IgnoredAny,
    /// The labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<IgnoredAny>,
    /// The key for dedup rules that define none.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    dedup_key: Option<IgnoredAny>,
    /// The requested state of an event.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    status: Option<IgnoredAny>,
    /// Overrides the computed fingerprint of an event.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    fingerprint: Option<IgnoredAny>,
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<IgnoredAny>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<IgnoredAny>,
    /// The current time if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<IgnoredAny>,
    /// W3C `traceparent` and `tracestate`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    trace_context: Option<IgnoredAny>,
    /// Evaluates disabled rules as well.
    include_disabled: Option<bool>,
    /// Evaluates all rules, even after one has decided.
    evaluate_all: Option<bool>,
    /// The time that `time.*` and `now` show; the current time if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    evaluate_at: Option<Time>,
    /// Replaces the stored state. Maps the key of a tally to a count or to whether it was seen, a fingerprint to the
    /// state of the event, and an event type to whether an event is active or to the list of values for which one is
    /// active.
    #[schema(value_type = Option<Object>)]
    mock_state: Option<Value>,
}

impl From<EvaluateRequest> for EvaluateOptions {
    fn from(request: EvaluateRequest) -> Self {
        Self {
            include_disabled: request.include_disabled.unwrap_or_default(),
            evaluate_all: request.evaluate_all.unwrap_or_default(),
            evaluate_at: request.evaluate_at.map(Time::timestamp),
            mock_state: request.mock_state,
        }
    }
}

/// Evaluates the rules in force for an action and explains the verdict, without changing anything
///
/// Nothing is delivered, reserved, recorded or counted. State is read from the state backend, or only from `mock_state`
/// if it is given. `context.state` shows the values.
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
        (status = 200, description = "The verdict and the result of each rule.", body = Evaluation, example = json!({
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
                "description": "Mutes test traffic",
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
        InvalidBody,
        (status = 403, description = "The namespace, tenant or type of the action is outside your scope.",
            body = ErrorBody, example = json!({
            "code": "FORBIDDEN",
            "message": "the action is outside your scope",
            "retryable": false,
        })),
        InvalidAction,
        NotAdmitted,
        InternalError,
    )
)]
pub(super) async fn evaluate(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
    request: Request,
) -> Result<Json<Evaluation>, ApiError> {
    let mut permit = BodyPermit::new(api.admission(), ADMISSION_TIMEOUT);
    let body = read_json_within(request, &mut permit).await?;
    let _permit = permit.admit(0, body.len() as u64).await?;
    let (action, options) = read_evaluation(&body, api.now())?;
    let evaluation = api.evaluate(&access, &action, &options).await?;
    Ok(Json(evaluation))
}

/// Parses the action and the options in a body. An action without `created_at` gets `now`.
///
/// # Errors
/// The body has no valid action or no valid options.
pub fn read_evaluation(
    body: &Bytes,
    now: Timestamp,
) -> Result<(Action, EvaluateOptions), ApiError> {
    let action = read_action(body, now)?;
    let request: EvaluateRequest = parse_json(body)?;
    Ok((action, request.into()))
}
