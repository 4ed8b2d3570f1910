//! Messages of a Telegram bot.

use acteon_core::FailureCode;
use acteon_services::TelegramServer;

use super::*;

async fn bot(mut options: Value) -> (TelegramServer, Arc<dyn Sink>) {
    let server = TelegramServer::start().await.unwrap();
    options["token"] = server.token().into();
    options["api_base_url"] = server.api_base_url().into();
    let sink = preset("telegram", options).await;
    (server, sink)
}

#[tokio::test]
async fn a_message_goes_to_the_chat_of_the_payload_or_else_of_the_options() {
    let (server, sink) = bot(json!({"chat_id": "@alerts"})).await;
    deliver(&*sink, &action(&json!({"text": "a <b> & c"})))
        .await
        .unwrap();
    let payload = json!({"text": "t", "chat_id": 42, "disable_notification": true});
    deliver(&*sink, &action(&payload)).await.unwrap();
    let expected = [
        json!({"chat_id": "@alerts", "text": "a <b> & c"}),
        json!({"chat_id": "42", "text": "t", "disable_notification": true}),
    ];
    assert_eq!(server.messages(), expected);
}

#[tokio::test]
async fn a_longer_text_is_cut() {
    let (server, sink) = bot(json!({"chat_id": "42"})).await;
    deliver(&*sink, &action(&json!({"text": "ü".repeat(5000)})))
        .await
        .unwrap();
    let text = server.messages().remove(0);
    assert!(text["text"].as_str().unwrap().ends_with(" characters cut]"));
}

#[tokio::test]
async fn a_text_with_wrong_markup_is_sent_once_more_as_plain_text() {
    let (server, sink) = bot(json!({"chat_id": "42", "parse_mode": "HTML"})).await;
    deliver(&*sink, &action(&json!({"text": "<b>bold</b>"})))
        .await
        .unwrap();
    deliver(&*sink, &action(&json!({"text": "<b>broken"})))
        .await
        .unwrap();
    let expected = [
        json!({"chat_id": "42", "text": "<b>bold</b>", "parse_mode": "HTML"}),
        json!({"chat_id": "42", "text": "<b>broken"}),
    ];
    assert_eq!(server.messages(), expected);
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_followed_also_with_wrong_markup() {
    let (server, sink) = bot(json!({"chat_id": "-100", "parse_mode": "HTML"})).await;
    deliver(&*sink, &action(&json!({"text": "<b>broken"})))
        .await
        .unwrap();
    let expected = json!({"chat_id": "-1001234567890", "text": "<b>broken"});
    assert_eq!(server.messages(), [expected]);
}

#[tokio::test]
async fn the_wait_is_that_of_the_parameters() {
    let (server, sink) = bot(json!({"chat_id": "42"})).await;
    server.limit(35);
    let error = refused(&*sink, &json!({"text": "t"})).await;
    let retry_after = Some(Duration::from_secs(35));
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after });
    assert_eq!(error.code, FailureCode::RateLimited);
}

#[tokio::test]
async fn a_chat_that_does_not_exist_is_the_fault_of_whoever_chose_it() {
    let (server, sink) = bot(json!({"chat_id": "7"})).await;
    let error = refused(&*sink, &json!({"text": "t"})).await;
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    for chat in [json!(7), json!(13)] {
        let error = refused(&*sink, &json!({"text": "t", "chat_id": chat})).await;
        assert_eq!(error.class, SinkErrorClass::Permanent, "{chat}");
    }
    assert_eq!(server.messages().len(), 0);
}

#[tokio::test]
async fn the_token_in_the_path_shows_nowhere() {
    let (server, _) = bot(json!({})).await;
    let token = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsax";
    let options = json!({"token": token, "chat_id": "42", "api_base_url": server.api_base_url()});
    let sink = preset("telegram", options).await;
    let error = refused(&*sink, &json!({"text": "t"})).await;
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("AAHdq"), "{shown}");
}
