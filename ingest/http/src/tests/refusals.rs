//! All refusals that a client can get.

use std::fmt::Write as _;

use acteon_core::Refusal;
use acteon_testkit::{End, FakeIntake};
use axum::body::Bytes;
use futures_util::stream;

use super::*;

fn declared_as(kind: Option<&str>) -> Request {
    let mut request = posting(ONE, wire("a"));
    let headers = request.headers_mut();
    headers.remove("content-type");
    if let Some(kind) = kind {
        headers.insert("content-type", kind.parse().unwrap());
    }
    request
}

fn by(method: &str, path: &str) -> Request {
    let mut request = posting(path, wire("a"));
    *request.method_mut() = method.parse().unwrap();
    request
}

fn requests() -> Vec<(&'static str, Request)> {
    let large = vec![b' '; 5 << 20];
    let pieces = (0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let no_payload = wire("a").replace("\"payload\"", "\"pay\"");
    let array = |item: &str, n: usize| format!("[{}]", vec![item; n].join(","));
    vec![
        ("broken JSON", posting(ONE, "{\"id\": \"a\",\n nope}")),
        ("no JSON at all", posting(ONE, "")),
        ("an array where one action is wanted", posting(ONE, "[]")),
        ("a missing field", posting(ONE, no_payload)),
        (
            "a wrong type",
            posting(ONE, wire("a").replace("\"ns\"", "7")),
        ),
        (
            "a wrong time",
            posting(ONE, wire("a").replace("2026-01-01T00:00:00Z", "noon")),
        ),
        ("an empty name", posting(ONE, wire(""))),
        ("a deep payload", posting(ONE, wire_with("a", &deep))),
        ("no content type", declared_as(None)),
        ("another content type", declared_as(Some("text/plain"))),
        ("a body of 5 MiB", posting(ONE, large)),
        (
            "a body of 5 MiB in pieces",
            posting(ONE, Body::from_stream(stream::iter(pieces))),
        ),
        (
            "a malformed query",
            posting("/v1/dispatch?dry_run=perhaps", wire("a")),
        ),
        (
            "a misspelt dry run",
            posting("/v1/dispatch?dryrun=true", wire("a")),
        ),
        (
            "a misspelt dry run of a batch",
            posting("/v1/dispatch/batch?dry-run=true", array(&wire("a"), 2)),
        ),
        ("another method", by("GET", ONE)),
        ("another method for batches", by("PUT", MANY)),
        ("an unknown path", by("POST", "/v1/dispatches")),
        ("a batch that is an object", posting(MANY, wire("a"))),
        ("a batch that is broken", posting(MANY, "[{}")),
        ("a batch of 1001", posting(MANY, array(&wire("a"), 1001))),
        (
            "a batch of a million nothings",
            posting(MANY, array("0", 1_000_000)),
        ),
    ]
}

async fn shown(what: &str, response: Response) -> String {
    let status = response.status();
    let mut text = format!("{what}\n  {status}\n");
    for name in ["content-type", "retry-after", "allow", "x-request-id"] {
        if let Some(value) = response.headers().get(name) {
            writeln!(text, "  {name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    let (_, body) = read(response).await;
    serde_json::from_str::<serde_json::Value>(&body).unwrap();
    format!("{text}  {body}\n\n")
}

#[tokio::test]
async fn every_bad_request_gets_the_right_error() {
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    let mut seen = String::new();
    for (what, request) in requests() {
        seen.push_str(&shown(what, api.send(request).await).await);
    }
    insta::assert_snapshot!("bad_requests", seen);
    assert!(intake.batch_sizes().is_empty());
    let admission = &api.source.context.admission;
    assert_eq!(
        (admission.actions_in_flight(), admission.bytes_in_flight()),
        (0, 0)
    );
}

#[tokio::test]
async fn every_refusal_of_the_pipeline_is_an_error_that_says_what_to_do() {
    let after = Duration::from_millis(2500);
    let mut seen = String::new();
    for refusal in [
        Refusal::Overloaded,
        Refusal::StateUnavailable,
        Refusal::Busy,
        Refusal::StateFull,
        Refusal::ShuttingDown,
        Refusal::Abandoned,
    ] {
        let api = api(FakeIntake::settling(move |_| End::Retry(after, refusal)));
        let response = api.send(posting(ONE, wire("a"))).await;
        seen.push_str(&shown(&format!("{refusal:?}"), response).await);
    }
    insta::assert_snapshot!("refusals_of_the_pipeline", seen);
}
