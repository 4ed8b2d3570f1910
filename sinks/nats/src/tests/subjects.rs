//! Where messages go.

use acteon_core::sink::SinkErrorClass;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn paths_fill_in_the_subject_and_the_answer_names_the_place() {
    let stage = Stage::start().await;
    let subject = "orders.{{ payload.region }}.{{ tenant }}";
    let sink = stage.sink(json!({"subject": subject})).await;
    let action = carrying("a", &json!({"region": "eu-1"}));
    let answer = deliver(&sink, &action).await.unwrap();
    let body: Value = serde_json::from_str(answer.body.get()).unwrap();
    let expected = json!({"subject": "orders.eu-1.t1", "stream": "ORDERS", "sequence": 1});
    assert_eq!(body, expected);
    let reached = sink.dial().await.unwrap().unwrap();
    let address = stage.nats.address();
    let expected = format!("connected to {address}, and the stream `ORDERS` takes its messages");
    assert_eq!(reached, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_value_goes_nowhere_and_fails_for_good() {
    let stage = Stage::start().await;
    let sink = stage
        .sink(json!({"subject": "orders.{{ payload.x }}"}))
        .await;
    for value in [
        json!("*"),
        json!(">"),
        json!("a.b"),
        json!("a b"),
        json!("a\r\nPUB orders.x 0\r\n"),
        json!("$JS"),
        json!(""),
        json!("x".repeat(1025)),
        json!(["a"]),
        json!(null),
    ] {
        let action = carrying("a", &json!({"x": value}));
        let error = deliver(&sink, &action).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::Permanent, "{value}");
    }
    let sink = stage.sink(json!({})).await;
    deliver(&sink, &carrying("last", &json!("last")))
        .await
        .unwrap();
    let messages = stage.messages(1).await;
    let found: Value = serde_json::from_slice(&messages[0].body).unwrap();
    assert_eq!(found["id"], "last", "nothing came before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_attempt_of_an_action_is_a_duplicate_and_a_success() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({})).await;
    let action = carrying("a", &json!(1));
    let first = deliver(&sink, &action).await.unwrap();
    let second = deliver(&sink, &action).await.unwrap();
    let body = |answer: &acteon_core::ProviderResponse| -> Value {
        serde_json::from_str(answer.body.get()).unwrap()
    };
    assert_eq!(body(&first).get("duplicate"), None);
    assert_eq!(body(&second)["duplicate"], true);
    assert_eq!(body(&first)["sequence"], body(&second)["sequence"]);
    let messages = stage.messages(1).await;
    let id = messages[0].headers["nats-msg-id"].as_str();
    assert_eq!(id, "key-of-a:bus");
}
