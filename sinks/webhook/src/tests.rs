use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{Defaults, decode};
use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{
    Action, Attempt, BuildError, Clock, FailureCode, Labels, Registry, Sink, SinkError, Sinks,
};
use acteon_sinks_kit::contract::{CannedResponse, Harness, Received, Receiver};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{Webhook, WebhookConfig};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PAYLOAD: &str = r#"{"amount":  1.50, "note":"\u00e4"}"#;

fn action() -> Action {
    let json = format!(
        r#"{{"id": "order 7", "namespace": "ns", "tenant": "t", "provider": "orders", "action_type": "paid",
            "payload": {PAYLOAD}, "metadata": {{"k": "v"}},
            "trace_context": {{"traceparent": "{TRACE}", "tracestate": "a=1"}}}}"#
    );
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let draft = decode(&Bytes::from(json)).unwrap();
    draft
        .complete(&Defaults::default(), || "made".into(), now)
        .unwrap()
}

fn context() -> SinkContext {
    SinkContext {
        name: "orders".into(),
        timeout: Duration::from_secs(20),
        max_concurrent: 4,
        redactor: acteon_core::Redactor::default(),
    }
}

async fn build(options: Value, context: SinkContext) -> Result<Arc<dyn Sink>, BuildError> {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Webhook::default());
    registry
        .plan("webhook", options)
        .unwrap()
        .build(context)
        .await
}

/// The error for options of the right shape that cannot work.
async fn refusal(options: Value) -> String {
    let error = build(options, context()).await.err().unwrap();
    format!("{error}")
}

/// The request sent for `action` under these options, with its id as the idempotency key.
async fn sent(mut options: Value, action: &Action) -> Received {
    let receiver = Receiver::start([]).await;
    options["url"] = receiver.url().into();
    options["allow_cidrs"] = json!(["127.0.0.0/8"]);
    let sink = build(options, context()).await.unwrap();
    deliver(&*sink, action).await.unwrap();
    receiver.received().remove(0)
}

async fn deliver(sink: &dyn Sink, action: &Action) -> Result<(), SinkError> {
    let attempt = Attempt {
        action,
        idempotency_key: &action.id,
        number: 3,
        progress: None,
    };
    sink.deliver(attempt).await.map(drop)
}

struct Webhooks;

impl Harness for Webhooks {
    fn register(&self, registry: &mut Registry<Sinks>) {
        registry.register(Webhook::default());
    }

    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn options(&self, url: &str) -> Value {
        json!({
            "url": format!("{url}&token=in-the-query"),
            "headers": {"X-Key": "in-a-header"},
            "auth": {"type": "basic", "username": "u", "password": "in-the-password"},
            "signing_secret": SIGNING_SECRET,
        })
    }

    fn action(&self) -> Action {
        action()
    }

    fn accepted(&self) -> &'static str {
        r#"{"received": true}"#
    }

    fn secrets(&self) -> &'static [&'static str] {
        &[
            "in-the-query",
            "in-a-header",
            "in-the-password",
            "dTppbi10aGUtcGFzc3dvcmQ",
            "hook?",
            SIGNING_SECRET,
        ]
    }

    fn idempotency_key(&self, request: &Received) -> Option<String> {
        Some(request.header("idempotency-key").unwrap().to_owned())
    }
}

acteon_sinks_kit::http_sink_contract!(Webhooks);

#[tokio::test]
async fn an_action_is_sent_whole_with_its_ids_and_its_trace() {
    let action = action();
    let received = sent(json!({}), &action).await;
    assert_eq!(received.method, "POST");
    assert_eq!(received.uri, "/hook?from=acteon");
    assert_eq!(received.body, serde_json::to_vec(&action).unwrap());
    let expected = [
        ("content-type", "application/json"),
        ("idempotency-key", "order%207"),
        ("x-acteon-action-id", "order%207"),
        ("x-acteon-attempt", "3"),
        ("traceparent", TRACE),
        ("tracestate", "a=1"),
        ("user-agent", concat!("acteon/", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in expected {
        assert_eq!(received.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_payload_alone_is_sent_byte_for_byte() {
    let received = sent(json!({"body": "payload", "method": "PUT"}), &action()).await;
    assert_eq!(received.method, "PUT");
    assert_eq!(received.body, PAYLOAD);
}

#[tokio::test]
async fn configured_headers_and_credentials_are_sent() {
    let options = json!({
        "headers": {"X-Key": "k", "Content-Type": "application/x+json", "user-agent": "mine"},
        "auth": {"type": "bearer", "token": "t0ken"},
    });
    let received = sent(options, &action()).await;
    assert_eq!(received.header("x-key"), Some("k"));
    assert_eq!(received.header("content-type"), Some("application/x+json"));
    assert_eq!(received.header("user-agent"), Some("mine"));
    assert_eq!(received.header("authorization"), Some("Bearer t0ken"));
    let basic =
        json!({"auth": {"type": "basic", "username": "Aladdin", "password": "open sesame"}});
    let received = sent(basic, &action()).await;
    let expected = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(received.header("authorization"), expected);
}

/// The key of the signing secret.
fn verified(request: &Received) -> bool {
    let header = |name| request.header(name).unwrap();
    let key = BASE64_STANDARD.decode(SIGNING_SECRET.strip_prefix("whsec_").unwrap());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.unwrap());
    let start = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
    let message = [start.as_bytes(), &request.body].concat();
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    let signature = BASE64_STANDARD.decode(signature).unwrap();
    hmac::verify(&key, &message, &signature).is_ok()
}

#[tokio::test]
async fn the_bytes_on_the_wire_are_signed_whatever_they_are() {
    let long = format!("{{\"text\": \"{}\"}}", "ä\u{1f600}".repeat(8 << 10));
    for body in ["action", "payload"] {
        for payload in [PAYLOAD, &long, "null", "\"\\u00e4\""] {
            let mut action = action();
            let raw: &RawValue = serde_json::from_str(payload).unwrap();
            action.payload = acteon_core::Payload::from_value(&raw).unwrap();
            let options = json!({"signing_secret": SIGNING_SECRET, "body": body});
            let received = sent(options, &action).await;
            assert!(verified(&received), "{body}: {payload:.40}");
            assert_eq!(received.header("webhook-id"), Some("order%207"));
        }
    }
    let unsigned = sent(json!({}), &action()).await;
    assert_eq!(unsigned.header("webhook-signature"), None);
}

#[tokio::test]
async fn each_attempt_is_signed_at_its_own_time_under_the_same_id() {
    let receiver = Receiver::start([CannedResponse::of(503)]).await;
    let options = json!({
        "url": receiver.url(), "allow_cidrs": ["127.0.0.0/8"], "signing_secret": SIGNING_SECRET,
    });
    let sink = build(options, context()).await.unwrap();
    let before = Clock::system().now().as_second();
    assert!(deliver(&*sink, &action()).await.is_err());
    deliver(&*sink, &action()).await.unwrap();
    let after = Clock::system().now().as_second();
    let received = receiver.received();
    let ids: Vec<_> = received.iter().map(|r| r.header("webhook-id")).collect();
    assert_eq!(ids, [Some("order%207"); 2]);
    for request in &received {
        let sent_at: i64 = request
            .header("webhook-timestamp")
            .unwrap()
            .parse()
            .unwrap();
        assert!((before..=after).contains(&sent_at));
        assert!(verified(request));
    }
}

#[tokio::test]
async fn a_malformed_trace_is_left_out() {
    let mut action = action();
    action.trace_context = Labels::from_iter([("traceparent", "nonsense"), ("tracestate", "a=1")]);
    let received = sent(json!({}), &action).await;
    assert_eq!(received.header("traceparent"), None);
    assert_eq!(received.header("tracestate"), None);
    let long = "a".repeat(2000);
    action.trace_context = Labels::from_iter([("traceparent", TRACE), ("tracestate", &long)]);
    let received = sent(json!({}), &action).await;
    assert_eq!(received.header("traceparent"), Some(TRACE));
    assert_eq!(received.header("tracestate"), None);
}

#[tokio::test]
async fn configured_success_codes_replace_2xx() {
    let receiver = Receiver::start([CannedResponse::of(409), CannedResponse::of(204)]).await;
    let options = json!({
        "url": receiver.url(), "allow_cidrs": ["127.0.0.0/8"], "success_codes": [200, 409],
    });
    let sink = build(options, context()).await.unwrap();
    deliver(&*sink, &action()).await.unwrap();
    let error = deliver(&*sink, &action()).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent);
    assert_eq!(error.code, FailureCode::ExecutionFailed);
}

#[tokio::test]
async fn the_error_for_a_local_url_names_the_network_to_allow() {
    let literal = refusal(json!({"url": "http://127.0.0.1:9/hook"})).await;
    assert!(
        literal.starts_with("`url`: 127.0.0.1 is a loopback address"),
        "{literal}"
    );
    assert!(
        literal.ends_with("add `allow_cidrs = [\"127.0.0.0/8\"]`"),
        "{literal}"
    );
    let named = build(json!({"url": "http://localhost:9/hook"}), context())
        .await
        .unwrap();
    let error = deliver(&*named, &action()).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert_eq!(error.code, FailureCode::Configuration);
    assert!(error.message.contains("allow_cidrs"), "{error}");
}

#[tokio::test]
async fn an_option_that_cannot_work_is_named_and_its_value_not_repeated() {
    let url = "https://example.com/";
    let cases = [
        (json!({"url": "s3cret"}), "`url`: not a URL"),
        (
            json!({"url": "https://u:s3cret@example.com/"}),
            "`url`: the URL must not contain a user",
        ),
        (
            json!({"url": url, "allow_cidrs": ["10/8"]}),
            "`allow_cidrs[0]`: \"10/8\" is not a network",
        ),
        (
            json!({"url": url, "success_codes": []}),
            "`success_codes`: list at least one",
        ),
        (
            json!({"url": url, "headers": {"a b": "s3cret"}}),
            "`headers.a b`: this is not a valid header name",
        ),
        (
            json!({"url": url, "headers": {"X-A": "s3cret\n"}}),
            "`headers.X-A`: the value must be",
        ),
        (
            json!({"url": url, "headers": {"Host": "s3cret"}}),
            "`headers.Host`: Acteon sets this header",
        ),
        (
            json!({"url": url, "headers": {"Idempotency-Key": "s3cret"}}),
            "`headers.Idempotency-Key`",
        ),
        (
            json!({"url": url, "headers": {"Webhook-Signature": "s3cret"}}),
            "`headers.Webhook-Signature`: Acteon sets",
        ),
        (
            json!({"url": url, "signing_secret": "s3cret"}),
            "`signing_secret`: must begin with `whsec_`",
        ),
        (
            json!({"url": url, "headers": {"Authorization": "s3cret"}, "auth": {"type": "bearer", "token": "s3cret"}}),
            "`headers.Authorization`: `auth` sets",
        ),
        (
            json!({"url": url, "auth": {"type": "bearer", "token": "s3cret\r\n"}}),
            "`auth.token`: must be one line",
        ),
        (
            json!({"url": url, "auth": {"type": "bearer", "token": ""}}),
            "`auth.token`: must be one line",
        ),
        (
            json!({"url": url, "auth": {"type": "basic", "username": "a:b", "password": "s3cret"}}),
            "`auth.username`",
        ),
    ];
    for (options, expected) in cases {
        let message = refusal(options).await;
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[tokio::test]
async fn all_options_that_cannot_work_are_reported_together() {
    let options = json!({
        "url": "htps://example.com/", "allow_cidrs": ["::/0", "10.0.0.0/33"], "signing_secret": "s", "success_codes": [200, 99],
        "headers": {"Host": "h", "X-A": "\n"}, "auth": {"type": "bearer", "token": ""},
    });
    let error = build(options, context()).await.err().unwrap();
    let options: Vec<_> = error.each().map(|one| one.option.as_str()).collect();
    let expected = [
        "success_codes[1]",
        "headers.Host",
        "headers.X-A",
        "auth.token",
        "signing_secret",
        "allow_cidrs[1]",
        "url",
    ];
    assert_eq!(options, expected);
}

#[test]
fn errors_about_unknown_options_name_the_known_ones() {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Webhook::default());
    let refusal = |options| registry.plan("webhook", options).err().unwrap().to_string();
    assert!(refusal(json!({})).contains("missing field `url`"));
    assert!(refusal(json!({"url": "u", "method": "GET"})).contains("`POST`, `PUT`, `PATCH`"));
    assert!(refusal(json!({"url": "u", "signing_secre": "s"})).contains("unknown field"));
    assert!(
        refusal(json!({"url": "u", "auth": {"type": "digest"}})).contains("`bearer` or `basic`")
    );
}

#[test]
fn debug_of_the_options_shows_no_secret() {
    let config: WebhookConfig = serde_json::from_value(json!({
        "url": "https://example.com/s3cret",
        "headers": {"X-Key": "s3cret"},
        "auth": {"type": "basic", "username": "u", "password": "s3cret"},
        "signing_secrets": ["s3cret"],
        "proxy": "http://u:s3cret@proxy.example.com",
    }))
    .unwrap();
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("s3cret") && shown.contains("X-Key"),
        "{shown}"
    );
}
