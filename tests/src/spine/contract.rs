//! The wire contract as clients see it, checked end to end against the real binary.

use std::io::Write as _;

use axum::http::StatusCode;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::action;
use crate::harness::{Receiver, Server};

const RULES: &str = r#"
rules:
  - { name: mute, description: No provider accepts these, priority: 1, condition: { field: action.metadata.env, eq: test }, action: { type: suppress } }
  - { name: twice, priority: 2, condition: { field: action.action_type, eq: twice }, action: { type: reroute, target_provider: other } }
"#;

async fn start(receiver: &Receiver) -> Server {
    let config = format!(
        r#"
[rules]
directory = "{{rules}}"

[[providers]]
name = "hook"
type = "webhook"
url = "{}"
allow_cidrs = ["127.0.0.0/8"]
max_retries = 0

[[providers]]
name = "other"
type = "log"
"#,
        receiver.url()
    );
    Server::start(&config, &[("rules.yaml", RULES)]).await
}

async fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = server.client().post(server.url(path)).body(body);
    request = request.header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// The keys of an object.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn named(id: &str) -> Value {
    let mut action = action(1, "hook");
    action["id"] = id.into();
    action
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_one_key_and_an_answer_from_memory_is_marked() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    for (action, marked) in [
        (named("a"), None),
        (named("a"), Some("true")),
        (named("b"), None),
    ] {
        let response = send(&server, "/v1/dispatch", &[], action.to_string().into()).await;
        assert_eq!(header(&response, "idempotent-replayed"), marked);
        let outcome: Value = response.json().await.unwrap();
        assert_eq!(keys(&outcome), ["Executed"]);
        assert_eq!(keys(&outcome["Executed"]), ["body", "headers", "status"]);
    }
    let batch = json!([named("c"), named("b"), named("a"), {"id": "d"}]).to_string();
    let response = send(&server, "/v1/dispatch/batch", &[], batch.into()).await;
    assert_eq!(header(&response, "idempotent-replayed-items"), Some("1,2"));
    let outcomes: Value = response.json().await.unwrap();
    assert_eq!(
        keys(&outcomes[3]["error"]),
        ["code", "message", "retryable"]
    );
    assert_eq!(receiver.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_a_provider_whatever_the_rules_decide() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let mut muted = action(1, "hook");
    muted["metadata"] = json!({"env": "test"});
    let mut rerouted = action(2, "hook");
    rerouted["action_type"] = "twice".into();
    for (action, verdict, provider) in [
        (action(3, "hook"), "allow", "hook"),
        (muted, "suppress", "hook"),
        (rerouted, "reroute", "other"),
    ] {
        let answer = server.post("/v1/dispatch?dry_run=true", &action).await;
        let dry_run = &answer.body["DryRun"];
        assert_eq!(
            (&dry_run["verdict"], &dry_run["would_be_provider"]),
            (&verdict.into(), &provider.into())
        );
    }
    for typo in [
        "dryrun=true",
        "dry_run=yes",
        "dry_run=true&x=1",
        "dry_run=true&dry_run=false",
    ] {
        let answer = server
            .post(&format!("/v1/dispatch?{typo}"), &action(4, "hook"))
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::BAD_REQUEST, &"INVALID_QUERY".into())
        );
    }
    assert_eq!(receiver.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_tells_of_each_rule_and_refuses_what_it_does_not_know() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let mut asked = action(1, "hook");
    asked["metadata"] = json!({"env": "test"});
    let evaluation = server.post("/v1/rules/evaluate", &asked).await.body;
    let first = &evaluation["trace"][0];
    let second = &evaluation["trace"][1];
    for name in [
        "rule_name",
        "priority",
        "enabled",
        "condition_display",
        "result",
        "evaluation_duration_us",
        "action",
        "source",
        "description",
        "skip_reason",
        "error",
    ] {
        assert!(first.get(name).is_some(), "{name}: {first}");
    }
    assert_eq!(
        (&first["rule_name"], &first["result"]),
        (&"mute".into(), &"matched".into())
    );
    assert_eq!(
        first["condition_display"],
        "action.metadata.env eq: \"test\""
    );
    assert_eq!(first["description"], "No provider accepts these");
    assert_eq!(
        (&second["result"], second["skip_reason"].is_string()),
        (&"skipped".into(), true)
    );
    asked["evaluate_al"] = true.into();
    let answer = server.post("/v1/rules/evaluate", &asked).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.body["message"]
            .as_str()
            .unwrap()
            .contains("`evaluate_all`"),
        "{answer:?}"
    );
    for body in [json!({"dir": "x"}), json!(["x"])] {
        let answer = server.post("/v1/rules/reload", &body).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::BAD_REQUEST, &"INVALID_JSON".into())
        );
    }
    let array = Some("[false]".to_owned());
    let answer = server
        .ask(Method::PUT, "/v1/rules/mute/enabled", array)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/v1/rules").await.body[0]["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_opened_by_hand_holds_until_it_is_closed_by_hand() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let breaker = "/v1/providers/hook/breaker";
    let opened = server.post(breaker, &json!({"state": "open"})).await.body;
    for name in [
        "provider",
        "healthy",
        "circuit_breaker_state",
        "total_requests",
        "successes",
        "failures",
        "success_rate",
        "avg_latency_ms",
        "p50_latency_ms",
        "p95_latency_ms",
        "p99_latency_ms",
        "last_error",
        "queued",
        "in_flight",
        "redelivering",
    ] {
        assert!(opened.get(name).is_some(), "{name}: {opened}");
    }
    assert_eq!(opened["circuit_breaker_state"], "open");
    let refused = server.post("/v1/dispatch", &action(1, "hook")).await.body;
    assert_eq!(
        refused,
        json!({"CircuitOpen": {"provider": "hook", "fallback_chain": []}})
    );
    server.post(breaker, &json!({"state": "closed"})).await;
    let taken = server.post("/v1/dispatch", &action(1, "hook")).await.body;
    assert_eq!(taken["Executed"]["status"], "success");
    let health = server.get("/v1/providers/health").await.body;
    let hook = &health["providers"][0];
    assert_eq!(
        (&hook["success_rate"], &hook["last_error"]),
        (&100.0.into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_as_gzip_or_behind_a_byte_order_mark_and_in_no_other_encoding() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let text = action(1, "hook").to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let encoded = |encoding| [("content-encoding", encoding)];
    let taken = send(&server, "/v1/dispatch", &encoded("gzip"), gzip.clone()).await;
    assert_eq!(taken.status(), StatusCode::OK);
    let marked = format!("\u{feff}{text}").into_bytes();
    assert_eq!(
        send(&server, "/v1/dispatch", &[], marked).await.status(),
        StatusCode::OK
    );
    let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
    bomb.write_all(&vec![b' '; 50 << 20]).unwrap();
    for (encoding, body, status) in [
        ("br", text.clone().into_bytes(), 415),
        ("gzip", text.clone().into_bytes(), 400),
        ("gzip", bomb.finish().unwrap(), 413),
    ] {
        let refused = send(&server, "/v1/dispatch", &encoded(encoding), body).await;
        assert_eq!(refused.status().as_u16(), status, "{encoding}");
        assert!(header(&refused, "x-request-id").is_some());
    }
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_or_cannot_be_read_is_422_and_the_last_second_is_a_time() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    for (field, value) in [
        ("attachments", json!([])),
        ("template", json!("welcome")),
        ("signature", json!("ed25519:x")),
        ("ends_at", json!("0000-01-01T00:00:00Z")),
    ] {
        let mut action = action(1, "hook");
        action[field] = value;
        let answer = server.post("/v1/dispatch", &action).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &"INVALID_ACTION".into())
        );
        assert!(
            answer.body["message"].as_str().unwrap().contains(field),
            "{answer:?}"
        );
    }
    let half = action(1, "hook").to_string().replace("customer", "\\ud800");
    let answer = server.post_text("/v1/dispatch", half).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut last = action(2, "hook");
    last["ends_at"] = "9999-12-31T23:59:59Z".into();
    let answer = server.post("/v1/dispatch", &last).await;
    assert_eq!(answer.body["Executed"]["status"], "success");
    assert_eq!(receiver.values_of("ends_at"), ["9999-12-31T23:59:59Z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_one_form_those_of_the_library_included() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    for (path, status) in [
        ("/v1/nothing".to_owned(), 404),
        ("/v1/dispatch".to_owned(), 405),
        ("/v1/audit?tenant=%ff".to_owned(), 400),
        ("/v1/audit?outcome=exectued".to_owned(), 400),
        ("/v1/audit/%ff".to_owned(), 400),
        (format!("/v1/audit?tenant={}", "x".repeat(20_000)), 414),
        (format!("/v1/audit?tenant={}", "x".repeat(100_000)), 414),
    ] {
        let (line, body) = raw(&server, &format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n")).await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
        assert_eq!(keys(&body), ["code", "message", "retryable"]);
    }
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(300_000));
    let (line, body) = raw(&server, &long).await;
    assert!(line.starts_with("HTTP/1.1 431 "), "{line}");
    assert_eq!(body["code"], "HEADERS_TOO_LARGE");
}

/// The status line and the body of the answer to `request`.
async fn raw(server: &Server, request: &str) -> (String, Value) {
    let address = server.url("");
    let mut stream = TcpStream::connect(address.trim_start_matches("http://"))
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        seen.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&seen);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            assert!(head.contains("x-request-id: "), "{head}");
            return (head.lines().next().unwrap().to_owned(), body);
        }
        assert!(read > 0, "the answer ends: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_in_bulk_are_counted_before_anything_is_done_to_them() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let body = json!({"filter": {"code": "TIMEOUT"}, "limit": 10});
    let nothing = json!({"matched": 0, "done": 0, "failed": 0, "next_cursor": null});
    for path in [
        "replay",
        "delete",
        "replay?preview=true",
        "delete?preview=true",
    ] {
        let answer = server
            .post(&format!("/v1/dead-letters/{path}"), &body)
            .await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::OK, &nothing),
            "{path}"
        );
        let typo = json!({"filter": {"tennant": "t1"}});
        let answer = server
            .post(&format!("/v1/dead-letters/{path}"), &typo)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
}
