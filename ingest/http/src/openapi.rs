//! The wire shapes for people and generators. The real types write themselves; a test reads what they write
//! through these.

use std::collections::BTreeMap;
use std::sync::Arc;

use acteon_core::verdict::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{Info, OpenApi, Paths};
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

/// What a producer asks for. Unknown fields are ignored.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Action {
    /// Made by the server when absent. The same id again is answered as before and not delivered twice.
    #[schema(min_length = 1, max_length = 256)]
    id: Option<String>,
    #[schema(min_length = 1, max_length = 256)]
    namespace: String,
    #[schema(min_length = 1, max_length = 256)]
    tenant: String,
    /// The configured name of the sink to use.
    #[schema(min_length = 1, max_length = 256)]
    provider: String,
    #[schema(min_length = 1, max_length = 256)]
    action_type: String,
    /// Any JSON, at most 64 levels deep.
    payload: Value,
    /// The labels. Also accepted: an object with the only key `labels`.
    #[schema(nullable)]
    metadata: Option<BTreeMap<String, String>>,
    #[schema(min_length = 1, max_length = 1024)]
    dedup_key: Option<String>,
    /// The state an event asks to move to.
    #[schema(min_length = 1, max_length = 1024)]
    status: Option<String>,
    /// Overrides the computed fingerprint of an event.
    #[schema(min_length = 1, max_length = 1024)]
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
    Deduplicated(()),
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
