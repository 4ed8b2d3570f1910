//! The wire shapes for people and generators. The real types write themselves; a test reads what they write
//! through these.

use std::collections::BTreeMap;
use std::sync::Arc;

use acteon_connect_http::ErrorBody;
use acteon_core::verdict::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Info, ObjectBuilder, OpenApi, Paths, RefOr, Schema};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::source::HttpSource;
use crate::{batch, dispatch};

/// The document of this source's endpoints alone.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

pub(crate) fn routes() -> OpenApiRouter<Arc<HttpSource>> {
    let info = Info::new("Acteon: dispatch", env!("CARGO_PKG_VERSION"));
    OpenApiRouter::with_openapi(OpenApi::new(info, Paths::new()))
        .routes(routes!(dispatch::dispatch))
        .routes(routes!(batch::dispatch_batch))
}

/// The query of both endpoints.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document only")]
pub(crate) struct Asked {
    /// Evaluate the rules, and change nothing.
    #[param(required = false, default = false)]
    dry_run: bool,
}

/// The refusals of both endpoints.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
pub(crate) enum Refused {
    /// Not JSON (`INVALID_JSON`), or a query parameter that is unknown or malformed (`INVALID_QUERY`); the message says where.
    #[response(status = 400, example = json!({
        "code": "INVALID_QUERY",
        "message": "`dryrun` is not known here; did you mean `dry_run`?",
        "retryable": false,
    }))]
    Malformed(ErrorBody),

    /// The body did not come, or too slowly; the connection is closed.
    #[response(status = 408, example = json!({
        "code": "REQUEST_TIMEOUT",
        "message": "the body came too slowly: send at least 10240 bytes within 10 seconds, and all within 120",
        "retryable": true,
    }))]
    TooSlow(ErrorBody),

    /// Too many bytes, inflated where the body is gzip, or too many actions.
    #[response(status = 413, example = json!({
        "code": "PAYLOAD_TOO_LARGE",
        "message": "the batch has more than 1000 actions",
        "retryable": false,
    }))]
    TooLarge(ErrorBody),

    /// Not declared as JSON, or encoded otherwise than by gzip.
    #[response(status = 415, example = json!({
        "code": "UNSUPPORTED_MEDIA_TYPE",
        "message": "send the body as `content-type: application/json`",
        "retryable": false,
    }))]
    NotJson(ErrorBody),

    /// JSON, but not an action, or no array of them; the message names the field.
    #[response(status = 422, example = json!({
        "code": "INVALID_ACTION", "message": "`tenant`: is missing", "retryable": false,
    }))]
    NoAction(ErrorBody),

    /// Something went wrong here. The log says what, under the request id that `x-request-id` bears.
    #[response(status = 500, example = json!({
        "code": "INTERNAL",
        "message": "something went wrong here: the log says what, under 0198c0de-0000-7000-8000-000000000000",
        "retryable": false,
    }))]
    Internal(ErrorBody),

    /// No room, or the same id or key is under way (`OVERLOADED`); the state backend cannot be reached
    /// (`STATE_UNAVAILABLE`) or is full (`STATE_FULL`); the process is stopping (`SHUTTING_DOWN`).
    #[response(
        status = 503,
        headers(("Retry-After" = u64, description = "Seconds to wait.")),
        example = json!({
            "code": "OVERLOADED",
            "message": "too much is in flight: try again later",
            "retryable": true,
            "retry_after": 1,
        }),
    )]
    NotNow(ErrorBody),
}

/// An action as it may be sent.
pub(crate) fn example_action() -> Value {
    json!({
        "id": "order-7",
        "namespace": "shop",
        "tenant": "acme",
        "provider": "email",
        "action_type": "order_placed",
        "payload": {"to": "customer@example.com", "amount": 120},
        "metadata": {"env": "prod"},
        "dedup_key": "order-7",
    })
}

/// A delivery.
pub(crate) fn example_outcome() -> Value {
    json!({"Executed": {"status": "success", "body": {"logged": true}, "headers": {}}})
}

/// An action of a batch that was refused.
pub(crate) fn example_error() -> Value {
    json!({"error": {
        "code": "INVALID_ACTION", "message": "`tenant`: is missing", "retryable": false,
    }})
}

/// What a producer asks for. Unknown fields are ignored, but `attachments`, `template` and `signature` are refused.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Action {
    /// Made by the server when absent. The same id again is answered as before and not delivered twice.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    id: Option<String>,
    /// At most 256 bytes.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    namespace: String,
    /// At most 256 bytes.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    tenant: String,
    /// The configured name of the sink to use.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    provider: String,
    /// At most 256 bytes.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    action_type: String,
    /// Any JSON, at most 64 levels deep.
    payload: Value,
    /// The labels. Also accepted: an object with the only key `labels`.
    #[schema(nullable)]
    metadata: Option<BTreeMap<String, String>>,
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    dedup_key: Option<String>,
    /// The state an event asks to move to.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    status: Option<String>,
    /// Overrides the computed fingerprint of an event.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    fingerprint: Option<String>,
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// Now when absent.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// `traceparent` and `tracestate`; taken from the request's headers when absent.
    trace_context: Option<BTreeMap<String, String>>,
}

/// What became of an action: an object with exactly one key.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) enum ActionOutcome {
    /// The sink accepted it.
    Executed(ProviderResponse),
    /// The key was delivered before, inside its window.
    Deduplicated(#[schema(inline)] Nothing),
    /// A suppress or deny rule.
    Suppressed { rule: String },
    /// Delivered by another sink than the one asked for.
    Rerouted {
        original_provider: String,
        new_provider: String,
        response: ProviderResponse,
    },
    /// Over the limit; the time is the real remaining wait.
    Throttled { retry_after: Wait },
    /// All attempts failed.
    Failed {
        code: FailureCode,
        message: String,
        retryable: bool,
        attempts: u32,
    },
    /// Joined a group.
    Grouped {
        group_id: String,
        group_size: u32,
        #[schema(format = DateTime)]
        notify_at: String,
    },
    /// A state machine rule; equal states: nothing changed.
    StateChanged {
        fingerprint: String,
        previous_state: String,
        new_state: String,
        notify: bool,
    },
    /// The sink's breaker is open and no fallback took it.
    CircuitOpen {
        provider: String,
        fallback_chain: Vec<String>,
    },
    /// What would have happened.
    DryRun {
        verdict: Verdict,
        matched_rule: Option<String>,
        /// The requested one when nothing would be delivered.
        would_be_provider: String,
    },
}

/// `null`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Nothing;

impl PartialSchema for Nothing {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Nothing {}

/// What a provider answered.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ProviderResponse {
    status: ResponseStatus,
    #[schema(value_type = Object)]
    body: Value,
    headers: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseStatus {
    Success,
    Failure,
    Partial,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FailureCode {
    ProviderNotFound,
    ExecutionFailed,
    Timeout,
    Connection,
    Configuration,
    RateLimited,
    Serialization,
    InvalidTransition,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Wait {
    secs: u64,
    nanos: u32,
}

/// An outcome, or why there is none.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BatchItem {
    Outcome(ActionOutcome),
    Refused { error: ItemError },
}

#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ItemError {
    /// Stable, in upper snake case.
    code: String,
    /// What was wrong, and where.
    message: String,
    /// True when the same action can succeed later.
    retryable: bool,
}
