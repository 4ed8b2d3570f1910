//! Options that cannot work.

use acteon_core::FailureCode;

use super::*;
use crate::SlackConfig;

async fn refusal(options: Value) -> String {
    build(options).await.err().unwrap().to_string()
}

#[tokio::test]
async fn a_token_or_a_webhook_is_required_and_only_one_of_them() {
    let hook = "https://hooks.slack.com/services/T/B/s3cret";
    let cases = [
        (json!({}), "`token`: set this or `webhook_url`"),
        (
            json!({"token": "xoxb-s3cret", "webhook_url": hook}),
            "`webhook_url`: set either this or `token`",
        ),
        (
            json!({"webhook_url": hook, "default_channel": "#alerts"}),
            "`default_channel`: an incoming webhook has one channel",
        ),
        (json!({"webhook_url": "s3cret"}), "`webhook_url`: not a URL"),
        (
            json!({"token": "xoxb-s3cret\nb"}),
            "`token`: must be one line of text and not empty",
        ),
        (
            json!({"token": " "}),
            "`token`: must be one line of text and not empty",
        ),
        (
            json!({"token": "xoxb-s3cret", "api_base_url": "slack.com"}),
            "`api_base_url`: not a URL",
        ),
    ];
    for (options, expected) in cases {
        let message = refusal(options).await;
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    assert!(build(json!({"token": "xoxb-s3cret"})).await.is_ok());
    assert!(build(json!({"webhook_url": hook})).await.is_ok());
}

#[tokio::test]
async fn a_message_without_a_channel_needs_a_default() {
    let sink = build(json!({"token": "xoxb-1"})).await.unwrap();
    let error = deliver(&*sink, &json!({"text": "t"})).await.unwrap_err();
    assert_eq!(error.code, FailureCode::Serialization);
    assert!(error.message.contains("`default_channel`"), "{error}");
}

#[test]
fn debug_of_the_options_shows_no_secret() {
    let options = json!({"token": "s3cret", "webhook_url": "https://s3cret"});
    let config: SlackConfig = serde_json::from_value(options).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}
