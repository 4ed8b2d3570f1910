//! Cards in a channel of Microsoft Teams.

use acteon_core::FailureCode;
use acteon_services::TeamsServer;

use super::*;

async fn workflow() -> (TeamsServer, Arc<dyn Sink>) {
    let server = TeamsServer::start().await.unwrap();
    let sink = preset("teams", json!({"webhook_url": server.webhook_url()})).await;
    (server, sink)
}

#[tokio::test]
async fn an_action_becomes_a_card_of_version_1_4() {
    let (server, sink) = workflow().await;
    let payload =
        json!({"title": "Order 7", "text": "It is \"paid\"", "url": "https://shop.example.com/7"});
    deliver(&*sink, &action(&payload)).await.unwrap();
    let card = server.cards().remove(0);
    assert_eq!(card["version"], "1.4");
    assert_eq!(card["body"][0]["text"], "Order 7");
    assert_eq!(card["body"][1]["text"], "It is \"paid\"");
    let open =
        json!([{"type": "Action.OpenUrl", "title": "Open", "url": "https://shop.example.com/7"}]);
    assert_eq!(card["actions"], open);
}

#[tokio::test]
async fn a_card_of_the_payload_is_sent_as_it_is() {
    let (server, sink) = workflow().await;
    let card = json!({"type": "AdaptiveCard", "version": "1.2", "body": [{"type": "TextBlock", "text": "{{ x }}"}]});
    deliver(&*sink, &action(&json!({"card": card})))
        .await
        .unwrap();
    assert_eq!(server.cards(), [card]);
}

#[tokio::test]
async fn a_longer_card_is_cut_to_what_teams_accepts() {
    let (server, sink) = workflow().await;
    deliver(&*sink, &action(&json!({"text": "ü\n\"".repeat(30_000)})))
        .await
        .unwrap();
    let card = server.cards().remove(0);
    let text = card["body"][1]["text"].as_str().unwrap();
    assert!(text.ends_with(" characters cut]"));
    assert!(card.to_string().len() > 15 << 10, "not more than necessary");
}

#[tokio::test]
async fn a_200_that_says_that_teams_refused_the_card_is_a_failure() {
    let (server, sink) = workflow().await;
    for (text, code) in [
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0",
            FailureCode::RateLimited,
        ),
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 500.",
            FailureCode::ExecutionFailed,
        ),
    ] {
        server.answer(text);
        let error = refused(&*sink, &json!({"text": "t"})).await;
        assert_eq!((error.class, error.code), (TRANSIENT, code));
        assert_eq!(error.refusal.unwrap().status, Some(200));
    }
    let url = server.webhook_url().replace("sig=k", "sig=q");
    let wrong = preset("teams", json!({"webhook_url": url})).await;
    let error = refused(&*wrong, &json!({"text": "t"})).await;
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
}
