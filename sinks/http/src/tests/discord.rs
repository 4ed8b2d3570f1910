//! Messages in a channel of Discord.

use acteon_core::FailureCode;
use acteon_services::DiscordServer;

use super::*;

async fn channel(mut options: Value) -> (DiscordServer, Arc<dyn Sink>) {
    let server = DiscordServer::start().await.unwrap();
    options["webhook_url"] = server.webhook_url().into();
    let sink = preset("discord", options).await;
    (server, sink)
}

async fn posted(options: Value, payload: &Value) -> Value {
    let (server, sink) = channel(options).await;
    deliver(&*sink, &action(payload)).await.unwrap();
    server.messages().remove(0)
}

#[tokio::test]
async fn a_message_is_posted_and_mentions_no_one() {
    let message = posted(json!({}), &json!({"content": "@everyone, order 7 is paid"})).await;
    let expected =
        json!({"content": "@everyone, order 7 is paid", "allowed_mentions": {"parse": []}});
    assert_eq!(message, expected);
    let options = json!({"allow_mentions": "true", "username": "Acteon"});
    let message = posted(options, &json!({"content": "@everyone"})).await;
    assert_eq!(
        message,
        json!({"content": "@everyone", "username": "Acteon"})
    );
}

#[tokio::test]
async fn a_payload_without_words_is_shown_as_json() {
    let message = posted(json!({}), &json!({"total": 7, "note": "a <b> & c"})).await;
    let content = message["content"].as_str().unwrap();
    assert!(
        content.starts_with("**order_paid**\n```json\n{"),
        "{content}"
    );
    assert!(content.contains("\"note\": \"a <b> & c\""), "{content}");
}

#[tokio::test]
async fn texts_and_embeds_are_cut_to_the_limits_of_discord() {
    let payload = json!({"content": "\u{1f600}".repeat(2001)});
    let message = posted(json!({}), &payload).await;
    let content = message["content"].as_str().unwrap();
    assert!(content.chars().count() <= 2000 && content.ends_with(" characters cut]"));
    let embeds = |embed: Value| std::iter::repeat_n(embed, 12).collect::<Vec<_>>();
    let many = embeds(json!({"title": "t", "color": 7}));
    let message = posted(json!({}), &json!({"embeds": many})).await;
    assert_eq!(message["embeds"], json!(many[..10]));
    let long = embeds(json!({"title": "t".repeat(300), "description": "d".repeat(5000)}));
    let message = posted(json!({}), &json!({"embeds": long})).await;
    assert_eq!(message["embeds"].as_array().unwrap().len(), 2);
    assert!(
        message.get("content").is_none_or(Value::is_null),
        "{message}"
    );
}

#[tokio::test]
async fn the_wait_is_the_fraction_in_the_body_and_not_the_rounded_header() {
    let (server, sink) = channel(json!({})).await;
    server.limit(1.337);
    let error = refused(&*sink, &json!({"content": "c"})).await;
    let retry_after = Some(Duration::from_secs_f64(1.337));
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after });
    assert_eq!(error.code, FailureCode::RateLimited);
    deliver(&*sink, &action(&json!({"content": "c"})))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_removed_webhook_is_the_providers_fault_and_a_message_that_discord_refuses_the_actions() {
    let (server, sink) = channel(json!({})).await;
    let payload = json!({"embeds": [{"title": "t"}], "username": "", "content": ""});
    deliver(&*sink, &action(&payload)).await.unwrap();
    let url = server.webhook_url().replace("3d89bb", "3d89bc");
    let gone = preset("discord", json!({"webhook_url": url})).await;
    let error = refused(&*gone, &json!({"content": "c"})).await;
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    let body = error.refusal.unwrap().body;
    assert!(String::from_utf8_lossy(&body).contains("Unknown Webhook"));
}
