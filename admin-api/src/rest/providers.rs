//! `/v1/providers`: the health of the providers, their breakers, and test messages.

use std::sync::Arc;

use acteon_connect_http::responses::{InternalError, InvalidBody, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path};
use acteon_core::Payload;
use acteon_core::health::{BreakerOverride, BreakerState, LastError, ProviderHealth};
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::errors::BackendUnavailable;
use crate::service::{Access, AdminApi, ProviderTest};

/// The health of all providers.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderList {
    /// Sorted by name.
    providers: Vec<ProviderHealthJson>,
}

/// The health of one provider since the start of the process.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderHealth)]
pub(super) struct ProviderHealthJson {
    #[schema(value_type = String)]
    provider: CompactString,
    /// True while the breaker is closed.
    healthy: bool,
    circuit_breaker_state: BreakerState,
    /// The number of finished attempts.
    total_requests: u64,
    successes: u64,
    failures: u64,
    /// The percentage of successful attempts; 100 before the first.
    #[schema(minimum = 0, maximum = 100)]
    success_rate: f64,
    /// All latencies are of the last hundred attempts, in milliseconds; 0 before the first.
    avg_latency_ms: f64,
    p50_latency_ms: f64,
    p95_latency_ms: f64,
    p99_latency_ms: f64,
    /// The message of the last error.
    #[schema(required)]
    last_error: Option<String>,
    /// The time of the last error.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    last_error_at: Option<Timestamp>,
    /// Actions that wait in the queue or for a retry.
    queued: usize,
    /// Running attempts.
    in_flight: usize,
    /// Actions that wait for redelivery, as far as this process knows.
    redelivering: usize,
}

impl From<ProviderHealth> for ProviderHealthJson {
    fn from(health: ProviderHealth) -> Self {
        let successes = health.deliveries;
        let failures = health.failures;
        let total = successes + failures;
        let latency = health.latency.unwrap_or_default();
        let (last_error, last_error_at) = match health.last_error {
            Some(LastError { message, at }) => (Some(message.into()), Some(at)),
            None => (None, None),
        };
        Self {
            provider: health.name,
            healthy: health.breaker == BreakerState::Closed,
            circuit_breaker_state: health.breaker,
            total_requests: total,
            successes,
            failures,
            success_rate: match total {
                0 => 100.0,
                total => successes as f64 * 100.0 / total as f64,
            },
            avg_latency_ms: latency.avg_ms,
            p50_latency_ms: latency.p50_ms,
            p95_latency_ms: latency.p95_ms,
            p99_latency_ms: latency.p99_ms,
            last_error,
            last_error_at,
            queued: health.queued,
            in_flight: health.in_flight,
            redelivering: health.redelivering,
        }
    }
}

fn example() -> Value {
    json!({
        "provider": "email",
        "healthy": true,
        "circuit_breaker_state": "closed",
        "total_requests": 1000,
        "successes": 990,
        "failures": 10,
        "success_rate": 99.0,
        "avg_latency_ms": 21.5,
        "p50_latency_ms": 18.0,
        "p95_latency_ms": 40.25,
        "p99_latency_ms": 120.0,
        "last_error": "no answer within 30s",
        "last_error_at": "2026-01-01T09:00:00Z",
        "queued": 3,
        "in_flight": 2,
        "redelivering": 0,
    })
}

/// Each provider's breaker, queue, success rate, latencies and last error
#[utoipa::path(
    get,
    path = "/v1/providers/health",
    operation_id = "get_provider_health",
    tag = "providers",
    responses(
        (status = 200, description = "The health of all providers.", body = ProviderList, example = json!({
            "providers": [example()],
        })),
        InvalidQuery,
        InternalError,
    )
)]
pub(super) async fn health(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
) -> Json<ProviderList> {
    let providers = api.providers(&access).into_iter();
    Json(ProviderList {
        providers: providers.map(ProviderHealthJson::from).collect(),
    })
}

/// The requested state of a breaker.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerRequest {
    state: BreakerByHand,
}

/// A state that operators can set.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BreakerByHand {
    /// Attempt nothing until the breaker is closed by hand.
    Open,
    /// Forget past failures.
    Closed,
}

/// Opens a provider's breaker until it is closed by hand, or closes it
///
/// This affects only this node, until the process ends. While the breaker is open, actions from brokers are
/// redelivered. Actions from callers go to the fallback or are answered with `CircuitOpen`.
#[utoipa::path(
    post,
    path = "/v1/providers/{name}/breaker",
    operation_id = "set_provider_breaker",
    tag = "providers",
    params(("name" = String, Path, description = "The provider's name, percent-encoded.", example = "email")),
    request_body(content = BreakerRequest, example = json!({"state": "open"})),
    responses(
        (status = 200, description = "The new health of the provider.",
            body = ProviderHealthJson, example = json!(example())),
        InvalidBody,
        (status = 404, description = "There is no such provider.", body = ErrorBody, example = json!({
            "code": "NOT_FOUND", "message": "no provider is named \"email\"", "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn set_breaker(
    State(api): State<AdminApi>,
    access: Access,
    Path(name): Path<String>,
    _: NoQuery,
    Json(BreakerRequest { state }): Json<BreakerRequest>,
) -> Result<Json<ProviderHealthJson>, ApiError> {
    let to = match state {
        BreakerByHand::Open => BreakerOverride::Open,
        BreakerByHand::Closed => BreakerOverride::Closed,
    };
    let health = api.set_breaker(&access, &name, to).await?;
    Ok(Json(health.into()))
}

/// A test message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRequest {
    /// The payload to send, such as one with a recipient. Default: texts in the fields that most providers show.
    #[serde(default)]
    payload: Option<Map<String, Value>>,
}

/// The result of a test message.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderTest)]
pub(super) struct ProviderTestJson {
    #[schema(value_type = String)]
    provider: CompactString,
    /// True if the provider accepted the message.
    delivered: bool,
    /// The body of its response; `null` if it did not accept the message.
    #[schema(required, value_type = Option<Object>)]
    response: Option<Arc<RawValue>>,
    /// Why it did not accept the message.
    #[schema(required)]
    error: Option<TestError>,
}

/// Why a provider did not accept a test message.
#[derive(Serialize, ToSchema)]
struct TestError {
    /// The code that the outcome of an action would have.
    code: &'static str,
    message: String,
    /// True if the same message may succeed later.
    retryable: bool,
}

impl From<ProviderTest> for ProviderTestJson {
    fn from(test: ProviderTest) -> Self {
        let (response, error) = match test.result {
            Ok(response) => (Some(response.body), None),
            Err(failure) => {
                let error = TestError {
                    code: failure.code.as_str(),
                    message: failure.message.into(),
                    retryable: failure.retryable,
                };
                (None, Some(error))
            }
        };
        Self {
            provider: test.provider,
            delivered: error.is_none(),
            response,
            error,
        }
    }
}

/// Send one marked test message through a provider
///
/// One attempt, whatever the provider's breaker and queue. No rule sees the message, and only this request is in the
/// audit trail. Its namespace and tenant are `acteon`, its type is `acteon_test`, and its label `test` is `true`.
#[utoipa::path(
    post,
    path = "/v1/providers/{name}/test",
    operation_id = "test_provider",
    tag = "providers",
    params(("name" = String, Path, description = "The provider's name, percent-encoded.", example = "email")),
    request_body(content = TestRequest, example = json!({"payload": {"to": "me@example.com", "subject": "Test"}})),
    responses(
        (status = 200, description = "Whether the provider accepted the message.",
            body = ProviderTestJson, example = json!({
                "provider": "email", "delivered": true, "response": {"status": "sent"}, "error": null,
            })),
        InvalidBody,
        (status = 404, description = "There is no such provider.", body = ErrorBody, example = json!({
            "code": "NOT_FOUND", "message": "no provider is named \"email\"", "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn test(
    State(api): State<AdminApi>,
    access: Access,
    Path(name): Path<String>,
    _: NoQuery,
    Json(TestRequest { payload }): Json<TestRequest>,
) -> Result<Json<ProviderTestJson>, ApiError> {
    // A map that was read from JSON can be written.
    let payload = payload.and_then(|payload| Payload::from_value(&payload).ok());
    let result = api.test_provider(&access, &name, payload).await?;
    Ok(Json(result.into()))
}
