//! The OpenAPI schemas of actions and outcomes. The types of the core serialize themselves; a test parses their JSON
//! with these types.

use std::collections::BTreeMap;

use acteon_core::verdict::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A sample action.
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

/// The outcome of a delivered action.
pub(crate) fn example_outcome() -> Value {
    json!({"Executed": {"status": "success", "body": {"logged": true}, "headers": {}}})
}

/// The error of a refused action in a batch.
pub(crate) fn example_error() -> Value {
    json!({"error": {
        "code": "INVALID_ACTION", "message": "`tenant`: is missing", "retryable": false,
    }})
}

/// A producer's request for one delivery. Unknown fields are ignored, except `attachments`, `template` and `signature`,
/// which are refused.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Action)]
pub(crate) struct ActionSchema {
    /// Generated if absent. Sending the same id again repeats the answer and does not deliver twice.
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
    /// The configured name of the provider to deliver through.
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
    /// The labels. An object with the single key `labels` is also accepted.
    #[schema(nullable)]
    metadata: Option<BTreeMap<String, String>>,
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    dedup_key: Option<String>,
    /// The requested state of an event.
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
    /// The time of arrival if absent.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// `traceparent` and `tracestate`. The request's headers are used if absent.
    trace_context: Option<BTreeMap<String, String>>,
}

/// The outcome of an action: an object with exactly one key.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ActionOutcome)]
pub(crate) enum OutcomeSchema {
    /// The provider accepted the action.
    Executed(ProviderResponseSchema),
    /// An action with the same key was delivered within the window.
    Deduplicated(#[schema(inline)] NullSchema),
    /// A suppress or deny rule matched.
    Suppressed { rule: String },
    /// Another provider than the requested one delivered the action.
    Rerouted {
        original_provider: String,
        new_provider: String,
        response: ProviderResponseSchema,
    },
    /// A limit is reached; the time is the actual remaining wait.
    Throttled { retry_after: DurationSchema },
    /// All attempts failed.
    Failed {
        code: FailureCodeSchema,
        message: String,
        retryable: bool,
        attempts: u32,
    },
    /// The action joined a group.
    Grouped {
        group_id: String,
        group_size: u32,
        #[schema(format = DateTime)]
        notify_at: String,
    },
    /// A state machine rule matched. If both states are equal, nothing changed.
    StateChanged {
        fingerprint: String,
        previous_state: String,
        new_state: String,
        notify: bool,
        /// The id of the silence that withheld the notice. Absent if there was none.
        #[schema(required = false)]
        silenced_by: Option<String>,
    },
    /// The provider's breaker is open, and no fallback accepted the action.
    CircuitOpen {
        provider: String,
        fallback_chain: Vec<String>,
    },
    /// The outcome that a dispatch would have.
    DryRun {
        verdict: Verdict,
        matched_rule: Option<String>,
        /// The requested provider if nothing would be delivered.
        would_be_provider: String,
        /// The id of the silence that would withhold it now. Absent if there is none.
        #[schema(required = false)]
        silenced_by: Option<String>,
    },
}

/// `null`.
#[derive(Serialize, Deserialize)]
pub(crate) struct NullSchema;

impl PartialSchema for NullSchema {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for NullSchema {}

/// A provider's response.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ProviderResponse)]
pub(crate) struct ProviderResponseSchema {
    status: ResponseStatusSchema,
    #[schema(value_type = Object)]
    body: Value,
    headers: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResponseStatus)]
pub(crate) enum ResponseStatusSchema {
    Success,
    Failure,
    Partial,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = FailureCode)]
pub(crate) enum FailureCodeSchema {
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
#[schema(as = Wait)]
pub(crate) struct DurationSchema {
    secs: u64,
    nanos: u32,
}

/// The outcome of an action, or the error of a refused one.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BatchItem {
    Outcome(OutcomeSchema),
    Refused { error: ItemError },
}

#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ItemError {
    /// A stable code in upper snake case.
    code: String,
    /// What is wrong, and where.
    message: String,
    /// True if the same action can succeed later.
    retryable: bool,
}
