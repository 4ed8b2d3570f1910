//! What the answers of PagerDuty mean, beyond the table of statuses.

use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, SinkError};
use acteon_sinks_kit::contract::{CannedResponse, Receiver};

use super::*;

async fn refused(answer: CannedResponse) -> SinkError {
    let receiver = Receiver::start([answer]).await;
    let options = json!({
        "routing_key": KEY, "api_base_url": receiver.url(), "allow_cidrs": ["127.0.0.0/8"],
    });
    let sink = build(options).await.unwrap();
    deliver(&*sink, &Events.action()).await.unwrap_err()
}

#[tokio::test]
async fn an_accepted_event_answers_with_its_key() {
    let (_server, sink) = account(json!({ "routing_key": KEY })).await;
    let response = deliver(&*sink, &Events.action()).await.unwrap();
    let body: Value = serde_json::from_str(response.body.get()).unwrap();
    assert_eq!(body["dedup_key"], "0198c0de-0000-7000-8000-00000000000a");
}

#[tokio::test]
async fn a_routing_key_that_pagerduty_does_not_know_is_the_providers_fault() {
    for body in [
        r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#,
        r#"{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}"#,
    ] {
        let error = refused(CannedResponse::of(400).body(body)).await;
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{body}");
    }
    let body = r#"{"status":"invalid event","errors":["'payload.severity' is invalid"]}"#;
    let error = refused(CannedResponse::of(400).body(body)).await;
    assert_eq!(error.class, SinkErrorClass::Permanent);
}

#[tokio::test]
async fn a_limit_of_a_service_is_waited_for() {
    let error = refused(CannedResponse::of(429).header("retry-after", "12")).await;
    let retry_after = Some(Duration::from_secs(12));
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after });
    assert_eq!(error.code, FailureCode::RateLimited);
}

#[tokio::test]
async fn a_field_that_cannot_be_sent_is_named_without_its_content() {
    let (server, sink) = account(json!({ "routing_key": KEY })).await;
    for (field, value) in [
        ("summary", json!(["s3cret"])),
        ("links", json!("s3cret")),
        ("images", json!(["s3cret"])),
        ("timestamp", json!(7)),
    ] {
        let action = action_with(&json!({"payload": { field: value }}));
        let error = deliver(&*sink, &action).await.unwrap_err();
        assert_eq!(error.code, FailureCode::Serialization);
        assert!(error.message.contains(&format!("`{field}")), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
    }
    let action = action_with(&json!({"payload": {"event_action": "s3cret"}}));
    let error = deliver(&*sink, &action).await.unwrap_err();
    assert!(
        error.message.starts_with("`event_action` must be"),
        "{error}"
    );
    assert_eq!(server.events().len(), 0);
}
