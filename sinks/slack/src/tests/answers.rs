//! What the answers of Slack mean.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;
use acteon_sinks_kit::contract::{CannedResponse, Receiver};

use super::*;

const TRANSIENT: SinkErrorClass = SinkErrorClass::Transient { retry_after: None };

fn text() -> Value {
    json!({"text": "t"})
}

#[tokio::test]
async fn each_error_code_has_its_class() {
    let (slack, sink) = workspace(json!({})).await;
    for (code, class) in [
        ("internal_error", TRANSIENT),
        ("fatal_error", TRANSIENT),
        ("service_unavailable", TRANSIENT),
        ("invalid_auth", SinkErrorClass::ProviderFault),
        ("account_inactive", SinkErrorClass::ProviderFault),
        ("token_revoked", SinkErrorClass::ProviderFault),
        ("token_expired", SinkErrorClass::ProviderFault),
        ("missing_scope", SinkErrorClass::ProviderFault),
        ("invalid_blocks", SinkErrorClass::Permanent),
        ("restricted_action", SinkErrorClass::Permanent),
        ("msg_too_long", SinkErrorClass::Permanent),
        ("a_code_of_tomorrow", SinkErrorClass::Permanent),
    ] {
        slack.fail(code);
        let error = deliver(&*sink, &text()).await.unwrap_err();
        assert_eq!(error.class, class, "{code}");
        assert_eq!(error.is_too_large, code == "msg_too_long", "{code}");
        assert_eq!(error.code, FailureCode::ExecutionFailed, "{code}");
        assert!(error.message.ends_with(code), "{error}");
        let refusal = error.refusal.unwrap();
        assert_eq!(refusal.status, Some(200));
        assert!(String::from_utf8_lossy(&refusal.body).contains(code));
    }
    slack.fail("ratelimited");
    let error = deliver(&*sink, &text()).await.unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (TRANSIENT, FailureCode::RateLimited)
    );
}

/// The default channel is configured, so the action is not at fault.
#[tokio::test]
async fn a_channel_that_does_not_exist_is_the_fault_of_whoever_chose_it() {
    let (slack, sink) = workspace(json!({})).await;
    for channel in ["C0NONE", "C0ARCHIVED", "C0PRIVATE"] {
        let payload = json!({"text": "t", "channel": channel});
        let error = deliver(&*sink, &payload).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::Permanent, "{channel}");
        let options = json!({
            "token": slack.token(), "api_base_url": slack.api_base_url(), "default_channel": channel,
            "allow_cidrs": ["127.0.0.0/8"],
        });
        let sink = build(options).await.unwrap();
        let error = deliver(&*sink, &text()).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{channel}");
    }
}

#[tokio::test]
async fn a_limited_channel_is_left_alone_for_as_long_as_slack_asks_and_others_are_not() {
    let (slack, sink) = workspace(json!({})).await;
    slack.limit("C0ALERTS", 30);
    let seconds = |error: &SinkError| match error.class {
        SinkErrorClass::Transient { retry_after } => retry_after.unwrap().as_secs_f64(),
        class => panic!("{class:?}"),
    };
    let error = deliver(&*sink, &text()).await.unwrap_err();
    assert_eq!(seconds(&error), 30.0);
    let again = deliver(&*sink, &text()).await.unwrap_err();
    assert!((29.0..=30.0).contains(&seconds(&again)), "{again:?}");
    for error in [error, again] {
        assert_eq!(error.code, FailureCode::RateLimited);
        assert!(error.for_destination, "the provider is not paused");
    }
    assert_eq!(
        slack.requests().len(),
        1,
        "the second attempt sends nothing"
    );
    let other = json!({"text": "t", "channel": "C0OPS"});
    deliver(&*sink, &other).await.unwrap();
    assert_eq!(slack.messages().len(), 1);
}

#[tokio::test]
async fn an_answer_that_slack_does_not_send_is_transient() {
    for body in ["<html>Sign in</html>", "", "{}", "[]"] {
        let receiver = Receiver::start([CannedResponse::of(200).body(body)]).await;
        let options = json!({
            "token": "xoxb-1", "api_base_url": receiver.url(), "default_channel": "C1",
            "allow_cidrs": ["127.0.0.0/8"],
        });
        let sink = build(options).await.unwrap();
        let error = deliver(&*sink, &text()).await.unwrap_err();
        assert_eq!(error.class, TRANSIENT, "{body}");
        assert!(error.message.contains("not as the Web API"), "{error}");
    }
}

#[tokio::test]
async fn text_that_is_no_error_code_does_not_show_in_messages() {
    let body = r#"{"ok": false, "error": "no such channel: s3cret"}"#;
    let receiver = Receiver::start([CannedResponse::of(200).body(body)]).await;
    let options = json!({
        "token": "xoxb-1", "api_base_url": receiver.url(), "default_channel": "C1", "allow_cidrs": ["127.0.0.0/8"],
    });
    let sink = build(options).await.unwrap();
    let error = deliver(&*sink, &text()).await.unwrap_err();
    assert!(error.message.ends_with("refused the message"), "{error}");
}

#[tokio::test]
async fn the_wait_is_read_from_the_body_if_the_header_is_missing() {
    let limited = r#"{"retry_after": 3, "ok": false, "error": "rate_limited"}"#;
    let answers = [
        CannedResponse::of(429).body(limited),
        CannedResponse::of(429)
            .body(limited)
            .header("retry-after", "5"),
    ];
    let receiver = Receiver::start(answers).await;
    let options = json!({"webhook_url": receiver.url(), "allow_cidrs": ["127.0.0.0/8"]});
    let sink = build(options).await.unwrap();
    for seconds in [3, 5] {
        let error = deliver(&*sink, &text()).await.unwrap_err();
        let retry_after = Some(Duration::from_secs(seconds));
        assert_eq!(error.class, SinkErrorClass::Transient { retry_after });
        assert!(!error.for_destination, "a webhook has one channel");
    }
}

#[tokio::test]
async fn a_webhook_that_answers_200_with_an_error_code_has_failed() {
    let body = r#"{"ok": false, "error": "token_revoked"}"#;
    let receiver = Receiver::start([CannedResponse::of(200).body(body)]).await;
    let options = json!({"webhook_url": receiver.url(), "allow_cidrs": ["127.0.0.0/8"]});
    let sink = build(options).await.unwrap();
    let error = deliver(&*sink, &text()).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    // After that, the receiver answers `{}`, as services that imitate Slack may.
    deliver(&*sink, &text()).await.unwrap();
}

#[tokio::test]
async fn a_removed_webhook_is_the_providers_fault() {
    let slack = SlackServer::start().await.unwrap();
    let url = slack.webhook_url().replace('X', "Y");
    let options = json!({"webhook_url": url, "allow_cidrs": ["127.0.0.0/8"]});
    let sink = build(options).await.unwrap();
    let error = deliver(&*sink, &text()).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert_eq!(&*error.refusal.unwrap().body, b"no_service");
}

#[tokio::test]
async fn dialling_tests_the_token_and_posts_nothing() {
    let (slack, sink) = workspace(json!({})).await;
    let reached = sink.dial().await.unwrap().unwrap();
    assert!(reached.ends_with("without TLS, authenticated"), "{reached}");
    assert_eq!(slack.requests(), ["auth.test"]);
    assert_eq!(slack.messages().len(), 0);
    let options = json!({
        "token": "xoxb-wrong-token", "api_base_url": slack.api_base_url(), "allow_cidrs": ["127.0.0.0/8"],
    });
    let wrong = build(options).await.unwrap();
    let error = wrong.dial().await.unwrap_err().to_string();
    assert!(error.starts_with("`token`: "), "{error}");
    assert!(error.ends_with("invalid_auth"), "{error}");
}
