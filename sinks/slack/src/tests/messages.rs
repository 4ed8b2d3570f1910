//! Payloads and the messages they become.

use super::*;

#[tokio::test]
async fn a_text_is_posted_to_the_default_channel() {
    let (slack, sink) = workspace(json!({})).await;
    let response = deliver(&*sink, &json!({"text": "Order 7 is paid"})).await;
    let response = response.unwrap();
    assert_eq!(response.status.as_str(), "success");
    assert!(
        response.body.get().contains("\"ts\""),
        "{}",
        response.body.get()
    );
    let expected = json!({"channel": "C0ALERTS", "text": "Order 7 is paid"});
    assert_eq!(slack.messages(), [expected]);
}

#[tokio::test]
async fn every_field_of_a_message_is_passed_on() {
    let payload = json!({
        "channel": "C0OPS", "text": "t", "username": "Shop", "icon_emoji": ":moneybag:",
        "blocks": [{"type": "divider"}, {"type": "section", "text": {"type": "plain_text", "text": "s"}}],
        "attachments": [{"color": "#36a64f", "text": "a"}],
        "thread_ts": "1503435956.000247", "reply_broadcast": true, "unfurl_links": false, "unfurl_media": true,
    });
    assert_eq!(posted(json!({}), &payload).await, payload);
    let icon = json!({"channel": "C0ALERTS", "text": "t", "icon_url": "https://example.com/i.png"});
    let mut more = icon.clone();
    more["to"] = json!("ada@example.com");
    more["blocks"] = Value::Null;
    assert_eq!(posted(json!({}), &more).await, icon);
}

/// As a number, it would lose its last zeros.
#[tokio::test]
async fn a_thread_given_as_a_number_keeps_its_digits() {
    let (slack, sink) = workspace(json!({})).await;
    let mut number = action(&Value::Null);
    let json = r#"{"text": "t", "thread_ts": 1503435956.000200}"#;
    let raw: &serde_json::value::RawValue = serde_json::from_str(json).unwrap();
    number.payload = acteon_core::Payload::from_value(&raw).unwrap();
    let attempt = Attempt {
        action: &number,
        idempotency_key: &number.id,
        number: 1,
        progress: None,
    };
    sink.deliver(attempt).await.unwrap();
    assert_eq!(slack.messages()[0]["thread_ts"], "1503435956.000200");
}

#[tokio::test]
async fn mentions_in_texts_are_shown_as_text_unless_they_are_allowed() {
    let payload = json!({
        "text": "<!channel> a & b", "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "<@U1>"}, "fields": [{"type": "mrkdwn", "text": "<!here>"}]},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "<#C1>"}]},
            {"type": "header", "text": {"type": "plain_text", "text": "a < b"}},
        ],
        "attachments": [{"text": "<!everyone>", "fields": [{"title": "<", "value": "<!here>"}],
                         "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "<!here>"}}]}],
    });
    let message = posted(json!({}), &payload).await;
    let shown = message.to_string();
    for mention in ["<!", "<@", "<#"] {
        assert!(!shown.contains(mention), "{mention}: {shown}");
    }
    assert_eq!(message["text"], "&lt;!channel&gt; a &amp; b");
    // Slack does not look for markup in plain text.
    assert_eq!(message["blocks"][2]["text"]["text"], "a < b");
    let allowed = posted(json!({"allow_mentions": true}), &payload).await;
    assert_eq!(allowed["blocks"], payload["blocks"]);
    assert_eq!(allowed["attachments"], payload["attachments"]);
    assert_eq!(allowed["text"], payload["text"]);
}

#[tokio::test]
async fn a_payload_that_is_no_message_is_shown_whole() {
    let group = json!({"group_id": "g1", "event_count": 3, "events": [{"text": "<!here> ```"}]});
    let text = posted(json!({}), &group).await["text"].clone();
    let text = text.as_str().unwrap();
    assert!(
        text.starts_with("*order_paid*\n```\n{\n  \"group_id\": \"g1\""),
        "{text}"
    );
    assert!(text.contains("&lt;!here&gt; '''"), "{text}");
    for payload in [
        json!("words"),
        json!([1, 2]),
        Value::Null,
        json!({"text": " "}),
    ] {
        let message = posted(json!({"allow_mentions": true}), &payload).await;
        let text = message["text"].as_str().unwrap();
        assert!(text.starts_with("*order_paid*\n```\n"), "{text}");
    }
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named_without_its_content() {
    let (slack, sink) = workspace(json!({})).await;
    for (field, value) in [
        ("text", json!(7)),
        ("blocks", json!("s3cret")),
        ("attachments", json!({"text": "s3cret"})),
        ("thread_ts", json!(["s3cret"])),
        ("username", json!(["s3cret"])),
    ] {
        let error = deliver(&*sink, &json!({ field: value })).await.unwrap_err();
        assert_eq!(error.code, acteon_core::FailureCode::Serialization);
        assert_eq!(error.message, format!("`{field}` has the wrong type"));
        assert!(!error.is_retryable());
    }
    assert_eq!(slack.requests().len(), 0);
}

#[tokio::test]
async fn an_incoming_webhook_gets_the_same_message() {
    let slack = SlackServer::start().await.unwrap();
    let options = json!({"webhook_url": slack.webhook_url(), "allow_cidrs": ["127.0.0.0/8"]});
    let sink = build(options).await.unwrap();
    let payload = json!({"text": "Order 7", "blocks": [{"type": "divider"}]});
    let response = deliver(&*sink, &payload).await.unwrap();
    assert_eq!(response.body.get(), r#"{"text":"ok"}"#);
    assert_eq!(slack.messages(), [payload]);
    let reached = sink.dial().await.unwrap().unwrap();
    assert!(reached.ends_with("without TLS"), "{reached}");
}
