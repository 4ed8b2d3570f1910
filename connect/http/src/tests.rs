mod encodings;
mod names;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post, put};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use super::*;

#[derive(Debug, Deserialize)]
struct Toggle {
    enabled: bool,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<u32>,
}

/// Objects nested in everything that can contain one.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only `Debug` reads the fields")]
struct Bounds {
    inner: Option<Span>,
    #[serde(default)]
    many: Vec<Span>,
    #[serde(default)]
    named: HashMap<String, Span>,
    switch: Option<Switch>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only `Debug` reads the fields")]
struct Span {
    from: u32,
    to: u32,
}

#[derive(Debug, Deserialize)]
enum Switch {
    On,
    Off,
}

fn api() -> ApiService {
    let overloaded = || async { ApiError::overloaded(Duration::from_millis(1200)) };
    let limited = || async { ApiError::rate_limited("30 a minute", Duration::from_secs(7)) };
    let broken = || async { ApiError::internal(&io::Error::other("dsn=postgres://u:pw@db")) };
    let toggle = |Json(toggle): Json<Toggle>| async move {
        format!("{} {}", toggle.enabled, toggle.note.unwrap_or_default())
    };
    let optional = |body: Option<Json<Toggle>>| async move { body.is_some().to_string() };
    let routes = Router::new()
        .route("/toggle", put(toggle))
        .route("/optional", post(optional))
        .route(
            "/size",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(
            "/page",
            get(|Query(page): Query<Page>| async move { format!("{:?}", page.limit) }),
        )
        .route(
            "/bounds",
            put(|Json(bounds): Json<Bounds>| async move { format!("{bounds:?}") })
                .get(|_: NoQuery| async { "fine" }),
        )
        .route(
            "/page/{number}",
            get(|Path(number): Path<u32>| async move { number.to_string() }),
        )
        .route("/overloaded", get(overloaded))
        .route("/limited", get(limited))
        .route("/state", get(|| async { ApiError::state_unavailable() }))
        .route("/stopping", get(|| async { ApiError::shutting_down() }))
        .route("/busy", get(|| async { ApiError::busy(Duration::ZERO) }))
        .route("/broken", get(broken))
        .route("/panics", get(|| async { panicking() }))
        .route(
            "/plain",
            get(|| async { (StatusCode::BAD_REQUEST, "a framework's own text") }),
        )
        .route("/bare", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/id", get(|RequestId(id): RequestId| async move { id }));
    ApiService::new(routes, 100)
}

fn panicking() -> &'static str {
    panic!("the secret is 42")
}

async fn send(request: Request) -> Response {
    api().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn request(line: &str, kind: &str, body: impl Into<Body>) -> Request {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-request-id", "r-1");
    let request = match kind {
        "" => request,
        kind => request.header("content-type", kind),
    };
    request.body(body.into()).unwrap()
}

/// A body that does not declare its size.
fn pieces(sizes: &'static [usize]) -> Body {
    let pieces = sizes
        .iter()
        .map(|size| Ok::<_, Infallible>(Bytes::from(vec![b' '; *size])));
    Body::from_stream(stream::iter(pieces))
}

fn shown(headers: &HeaderMap) -> String {
    [
        "content-type",
        "retry-after",
        "allow",
        "x-request-id",
        "x-content-type-options",
    ]
    .iter()
    .filter_map(|name| Some((name, headers.get(*name)?.to_str().unwrap())))
    .fold(String::new(), |text, (name, value)| {
        format!("{text}  {name}: {value}\n")
    })
}

#[tokio::test]
async fn every_refusal_is_json_of_one_format() {
    const JSON: &str = "application/json";
    let long = format!("GET /page?limit={}", "1".repeat(16 << 10));
    let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("reset"))]));
    let requests = [
        request("GET /nothing/here?key=secret", "", ""),
        request("DELETE /toggle", "", ""),
        request("PUT /toggle", JSON, "{\"enabled\": tru}"),
        request("PUT /toggle", JSON, ""),
        request("PUT /toggle", JSON, "{}\n"),
        request("PUT /toggle", JSON, "{\"enabled\": true} x"),
        request(
            "PUT /toggle",
            JSON,
            "{\"enabled\": true,\n \"note\": 12345}",
        ),
        request(
            "PUT /toggle",
            JSON,
            "{\"enabled\": \"hunter2, expected a secret\"}",
        ),
        request("PUT /toggle", JSON, "[1"),
        request("PUT /toggle", "", "{}"),
        request("PUT /toggle", "text/json", "{}"),
        request("PUT /toggle", JSON, vec![b' '; 101]),
        request("PUT /toggle", JSON, pieces(&[60, 41])),
        request("PUT /toggle", JSON, broken),
        request("GET /page?limit=many", "", ""),
        request("GET /page/many", "", ""),
        request("GET /page/%FF", "", ""),
        request("GET /page?limit=%c3%28", "", ""),
        request(&long, "", ""),
        request("GET /overloaded", "", ""),
        request("GET /limited", "", ""),
        request("GET /state", "", ""),
        request("GET /stopping", "", ""),
        request("GET /busy", "", ""),
        request("GET /broken", "", ""),
        request("GET /panics", "", ""),
        request("GET /plain", "", ""),
        request("GET /bare", "", ""),
    ];
    let mut seen = String::new();
    for request in requests {
        let mut line = format!("{} {}", request.method(), request.uri());
        line.truncate(60);
        let response = send(request).await;
        let (status, headers) = (response.status(), shown(response.headers()));
        let body = text(response).await;
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
        writeln!(seen, "{line}\n  {status}\n{headers}  {body}\n").unwrap();
    }
    insta::assert_snapshot!("refusals", seen);
}

#[tokio::test]
async fn a_json_body_is_accepted_under_each_of_its_names() {
    for kind in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/ld+json",
    ] {
        let response = send(request("PUT /toggle", kind, "{\"enabled\": true}")).await;
        assert_eq!(text(response).await, "true ", "{kind}");
    }
}

#[tokio::test]
async fn an_optional_body_may_be_missing_but_not_wrong() {
    let sent = [
        ("", ""),
        ("application/json", ""),
        ("application/json", "{\"enabled\": true}"),
    ];
    let mut taken = Vec::new();
    for (kind, body) in sent {
        taken.push(text(send(request("POST /optional", kind, body)).await).await);
    }
    assert_eq!(taken, ["false", "false", "true"]);
    let chunked = request("POST /optional", "application/json", pieces(&[0]));
    assert_eq!(text(send(chunked).await).await, "false");
    let wrong = send(request("POST /optional", "application/json", "{")).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together_up_to_the_last_byte_allowed() {
    let parts = ["{\"ena", "bled\":", " true", ", \"note\": \"in pieces\"}"];
    let parts = parts.map(|part| Ok::<_, Infallible>(Bytes::from(part)));
    let body = Body::from_stream(stream::iter(parts));
    let response = send(request("PUT /toggle", "application/json", body)).await;
    assert_eq!(text(response).await, "true in pieces");

    let mut exact = b"{\"enabled\": true}".to_vec();
    exact.resize(100, b' ');
    let response = send(request("PUT /toggle", "application/json", exact)).await;
    assert_eq!(response.status(), StatusCode::OK);
}

/// A body of this many pieces, one per second.
fn trickle(pieces: usize, piece: &'static [u8]) -> Body {
    let later = move |n| async move {
        sleep(Duration::from_secs(1)).await;
        (n < pieces).then_some((Ok::<_, Infallible>(Bytes::from_static(piece)), n + 1))
    };
    Body::from_stream(stream::unfold(0, later))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_arrives_too_slowly_is_refused() {
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let slow = trickle(usize::MAX, b" ");
    let slow_and_refused = request("PUT /toggle", "text/plain", trickle(usize::MAX, b" "));
    let sent = [
        (request("PUT /toggle", "application/json", never), 408),
        (request("PUT /toggle", "application/json", slow), 408),
        (slow_and_refused, 415),
    ];
    for (request, status) in sent {
        let before = Instant::now();
        let response = send(request).await;
        assert_eq!(before.elapsed().as_secs(), 10);
        assert_eq!(response.status(), status);
        let closes = response.headers().contains_key("connection");
        assert_eq!(closes, status == 408, "nothing more is read from it");
        let text = text(response).await;
        let slow = "\"code\":\"REQUEST_TIMEOUT\",\"message\":\"the body arrived too slowly: send at least 10240";
        assert_eq!(text.contains(slow), status == 408, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_keeps_the_minimum_speed_is_read_but_not_for_ever() {
    let large = || {
        let size = post(|request: Request| async move {
            let mut budget = CountedBudget {
                reserved: 0,
                max: u64::MAX,
            };
            let body = read_json_within(request, &mut budget).await;
            body.map(|body| body.len().to_string())
        });
        ApiService::new(Router::new().route("/size", size), 1 << 20)
    };
    let before = Instant::now();
    let request = |pieces| {
        request(
            "POST /size",
            "application/json",
            trickle(pieces, &[b' '; 1024]),
        )
    };
    let response = large().oneshot(request(60)).await.unwrap();
    assert_eq!(text(response).await, (60 << 10).to_string());
    assert_eq!(before.elapsed().as_secs(), 61);
    let before = Instant::now();
    let response = large().oneshot(request(usize::MAX)).await.unwrap();
    assert_eq!(
        (response.status(), before.elapsed().as_secs()),
        (StatusCode::REQUEST_TIMEOUT, 120)
    );
}

/// Counts the reserved bytes, up to a limit.
struct CountedBudget {
    reserved: u64,
    max: u64,
}

impl MemoryBudget for CountedBudget {
    async fn reserve(&mut self, bytes: u64) -> Result<(), ApiError> {
        if self.reserved + bytes > self.max {
            return Err(ApiError::overloaded(Duration::from_secs(1)));
        }
        self.reserved += bytes;
        Ok(())
    }

    fn release(&mut self) {
        self.reserved = 0;
    }
}

#[tokio::test]
async fn a_body_reserves_memory_as_it_arrives_and_none_for_its_declared_size() {
    let read = async |pieces: &'static [usize], max| {
        let mut budget = CountedBudget { reserved: 0, max };
        let request = request("POST /", "application/json", self::pieces(pieces));
        let body = read_json_within(request, &mut budget).await;
        (
            body.map(|body| body.len()).map_err(|error| error.code),
            budget.reserved,
        )
    };
    assert_eq!(read(&[16 << 10], 0).await, (Ok(16 << 10), 0));
    assert_eq!(
        read(&[4 << 10, 4 << 10], 0).await,
        (Ok(8 << 10), 0),
        "too little to need a budget"
    );
    let (size, taken) = read(&[60 << 10, 60 << 10, 60 << 10], 1 << 20).await;
    assert_eq!(
        (size, taken),
        (Ok(180 << 10), 360 << 10),
        "as much as its buffer holds"
    );
    let refused = read(&[60 << 10, 60 << 10, 60 << 10], 300 << 10).await;
    assert_eq!(refused, (Err("OVERLOADED"), 0));
}

#[tokio::test]
async fn a_body_that_no_budget_covers_is_small() {
    let toggle = put(|Json(toggle): Json<Toggle>| async move { toggle.enabled.to_string() });
    let api = ApiService::new(Router::new().route("/toggle", toggle), 1 << 20);
    let send = async |body: Body| {
        let request = request("PUT /toggle", "application/json", body);
        let response = api.clone().oneshot(request).await.unwrap();
        (response.status().as_u16(), text(response).await)
    };
    let mut small = b"{\"enabled\": true}".to_vec();
    small.resize(16 << 10, b' ');
    assert_eq!(send(Body::from(small.clone())).await.0, 200);
    small.push(b' ');
    for body in [Body::from(small), pieces(&[16 << 10, 1])] {
        let (status, text) = send(body).await;
        assert_eq!(status, 413);
        assert!(
            text.contains("the body is larger than 16384 bytes"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_any_other_replaced() {
    let with_id = |id: Option<&str>| {
        let request = Request::builder().uri("/id");
        let request = id
            .into_iter()
            .fold(request, |r, id| r.header(REQUEST_ID, id));
        request.body(Body::empty()).unwrap()
    };
    let kept = send(with_id(Some("trace-7/b"))).await;
    assert_eq!(kept.headers()[REQUEST_ID], "trace-7/b");
    assert_eq!(text(kept).await, "trace-7/b", "the endpoint sees the same");
    let long = "x".repeat(129);
    for id in [None, Some(""), Some("with space"), Some(long.as_str())] {
        let replaced = send(with_id(id)).await;
        let made = replaced.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        assert_eq!(made.len(), 36, "{made}");
        assert_eq!(text(replaced).await, made, "the endpoint sees the same");
    }
}

#[tokio::test]
async fn the_answer_to_an_internal_error_names_the_request_and_not_the_cause() {
    for path in ["GET /broken", "GET /panics"] {
        let body = text(send(request(path, "", "")).await).await;
        assert!(body.contains("r-1"), "{body}");
        assert!(!body.contains("pw@db") && !body.contains("42"), "{body}");
    }
}

#[tokio::test]
async fn a_successful_answer_is_not_changed() {
    let response = send(request("GET /page?limit=3", "", "")).await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    assert!(
        response
            .headers()
            .keys()
            .all(|name| !name.as_str().contains("access-control"))
    );
    assert_eq!(text(response).await, "Some(3)");
}

#[test]
fn values_of_a_body_stay_out_of_messages() {
    let refused = |json: &str| {
        let refusal = parse_json::<Toggle>(json.as_bytes()).unwrap_err();
        refusal.message
    };
    let message = refused("{\"enabled\": true, \"note\": 4711}");
    assert_eq!(
        message,
        "`note`: invalid type: integer, expected a string at line 1 column 30"
    );
    let message = refused("\"tok`en\\\"\"");
    assert_eq!(
        message,
        "invalid type: string, expected an object at line 1 column 10"
    );
}
