//! `/health`, `/ready` and `/metrics`, for load balancers, orchestrators and Prometheus.

use acteon_connect_http::Json;
use acteon_core::counters::CountersSnapshot;
use acteon_core::health::Part;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::AdminApi;

/// When to query `/ready` again.
const RETRY_AFTER_SECONDS: u64 = 1;
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process is alive.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthAnswer {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    metrics: CountersSnapshot,
}

/// Every part is ready.
#[derive(Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(super) struct ReadyAnswer {
    #[schema(example = "ready")]
    status: &'static str,
    parts: Vec<Part>,
}

/// At least one part is not ready. This is a usual error with one entry per part in addition.
#[derive(Serialize, ToSchema)]
#[schema(as = Unreadiness)]
pub(super) struct NotReadyAnswer {
    #[schema(example = "unready")]
    status: &'static str,
    /// All parts; each part that is not ready has the reason.
    parts: Vec<Part>,
    #[schema(example = "NOT_READY")]
    code: &'static str,
    /// Names the parts that are not ready.
    message: String,
    /// Always true.
    retryable: bool,
    /// Seconds to wait before the next query.
    retry_after: u64,
}

/// Liveness, and the number of actions by outcome since the start
///
/// Calls no backend, so it answers as long as the process can.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "get_health",
    tag = "status",
    responses((status = 200, description = "The process is alive.", body = HealthAnswer, example = json!({
        "status": "ok",
        "metrics": CountersSnapshot::default(),
    })))
)]
pub(super) async fn health(State(api): State<AdminApi>) -> Json<HealthAnswer> {
    Json(HealthAnswer {
        status: "ok",
        metrics: api.counters(),
    })
}

/// Readiness: whether the backends can be reached and have room, and every consumer makes progress
#[utoipa::path(
    get,
    path = "/ready",
    operation_id = "get_readiness",
    tag = "status",
    responses(
        (status = 200, description = "Every part is ready.", body = ReadyAnswer, example = json!({
            "status": "ready",
            "parts": [{"name": "state", "ready": true, "detail": null}],
        })),
        (status = 503, description = "At least one part is not ready; `Retry-After` says when to query again.",
            headers(("Retry-After" = u64, description = "Seconds to wait.")),
            body = NotReadyAnswer, example = json!({
            "status": "unready",
            "parts": [
                {"name": "source:orders", "ready": false, "detail": "no broker answers"},
                {"name": "state", "ready": true, "detail": null},
            ],
            "code": "NOT_READY",
            "message": "not ready: source:orders",
            "retryable": true,
            "retry_after": 1,
        })),
    )
)]
pub(super) async fn ready(State(api): State<AdminApi>) -> Response {
    let report = api.ready().await;
    if report.ready {
        let status = "ready";
        let parts = report.parts;
        return Json(ReadyAnswer { status, parts }).into_response();
    }
    let unready = report.parts.iter().filter(|part| !part.ready);
    let names: Vec<_> = unready.map(|part| part.name.as_str()).collect();
    let body = NotReadyAnswer {
        status: "unready",
        code: "NOT_READY",
        message: format!("not ready: {}", names.join(", ")),
        retryable: true,
        retry_after: RETRY_AFTER_SECONDS,
        parts: report.parts,
    };
    let headers = [(RETRY_AFTER, RETRY_AFTER_SECONDS.to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, headers, Json(body)).into_response()
}

/// All metrics for Prometheus, or the counters of `/health` as JSON
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "status",
    params(
        ("accept" = Option<String>, Header,
            description = "The answer is JSON if `application/json` is the preferred type."),
    ),
    responses((
        status = 200,
        description = "The metrics.",
        content(
            (String = "text/plain", example = "# TYPE acteon_dispatched_total counter\nacteon_dispatched_total 3\n"),
            (CountersSnapshot = "application/json", example = json!(CountersSnapshot::default())),
        ),
    ))
)]
pub(super) async fn metrics(State(api): State<AdminApi>, headers: HeaderMap) -> Response {
    if likes_json_best(&headers) {
        return Json(api.counters()).into_response();
    }
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], api.metrics()).into_response()
}

/// True when `application/json` is the first among the media types of the highest weight.
fn likes_json_best(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    let mut best = ("", 0.0);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1.0, |text| text.parse::<f32>().unwrap_or_default());
        if weight > best.1 {
            best = (name, weight);
        }
    }
    best.0.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_given_to_who_likes_it_best_and_text_to_prometheus() {
        let table = [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            ("text/plain;q=0.5, Application/JSON;q=0.9", true),
            ("*/*", false),
            ("", false),
            ("application/json;q=0", false),
            ("text/plain, application/json;q=0.2", false),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                false,
            ),
        ];
        for (accept, json) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(likes_json_best(&headers), json, "{accept}");
        }
        assert!(!likes_json_best(&HeaderMap::new()));
    }
}
