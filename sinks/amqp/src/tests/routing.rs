//! Where messages go, and what accompanies them.

use acteon_core::sink::SinkErrorClass;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn paths_fill_in_the_routing_key_and_the_message_is_persistent_and_named() {
    let stage = Stage::shared().await;
    let key = "orders.{{ payload.region }}.{{ tenant }}";
    let sink = stage.sink(json!({"routing_key": key})).await;
    let action = carrying("a", &json!({"region": "eu-1"}));
    let answer = deliver(&sink, &action).await.unwrap();
    let body: Value = serde_json::from_str(answer.body.get()).unwrap();
    let expected =
        json!({"exchange": stage.name, "routing_key": "orders.eu-1.t1", "message_id": "key-of-a"});
    assert_eq!(body, expected);
    let stored = stage.rabbit.messages(&stage.name, 1).await.unwrap();
    assert_eq!(stored[0].address, "orders.eu-1.t1");
    let seconds = action.created_at.timestamp().as_second().to_string();
    for (name, value) in [
        ("delivery-mode", "2"),
        ("message-id", "key-of-a"),
        ("type", "test"),
        ("timestamp", seconds.as_str()),
    ] {
        let found = stored[0].headers.get(name).map(String::as_str);
        assert_eq!(found, Some(value), "{name}");
    }
    let reached = sink.dial().await.unwrap().unwrap();
    let address = stage.rabbit.address();
    let expected = format!(
        "connected to {address}, and the exchange `{}` exists",
        stage.name
    );
    assert_eq!(reached, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_value_goes_nowhere_and_fails_for_good() {
    let stage = Stage::shared().await;
    let more = json!({"routing_key": "orders.{{ payload.x }}"});
    let sink = stage.sink(more).await;
    for value in [
        json!("*"),
        json!("#"),
        json!("a.b"),
        json!("a\n"),
        json!(""),
        json!("x".repeat(256)),
        json!(["a"]),
        json!(null),
    ] {
        let action = carrying("a", &json!({"x": value}));
        let error = deliver(&sink, &action).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::Permanent, "{value}");
    }
    deliver(&sink, &carrying("last", &json!({"x": "ä b"})))
        .await
        .unwrap();
    let stored = stage.rabbit.messages(&stage.name, 1).await.unwrap();
    assert_eq!(stored[0].address, "orders.ä b", "nothing came before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_exchange_delivers_to_the_queue_of_that_name() {
    let stage = Stage::shared().await;
    let more = json!({"exchange": "", "routing_key": stage.name});
    let sink = stage.sink(more).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    assert_eq!(stage.messages(1).await.len(), 1);
    let reached = sink.dial().await.unwrap().unwrap();
    assert_eq!(reached, format!("connected to {}", stage.rabbit.address()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_the_unroutable_are_reported() {
    let stage = Stage::shared().await;
    let more = json!({"routing_key": "{{ payload.at }}.new", "body": "payload"});
    let sink = stage.sink(more).await;
    let at = |n: usize| {
        if n.is_multiple_of(7) {
            "lost"
        } else {
            "orders"
        }
    };
    let actions = (0..700).map(|n| carrying(&n.to_string(), &json!({"at": at(n), "n": n})));
    let results = deliver_all(&sink, actions).await;
    for (n, result) in results.into_iter().enumerate() {
        match (at(n), result) {
            ("orders", result) => drop(result.unwrap()),
            (_, result) => {
                let error = result.unwrap_err();
                assert_eq!(error.class, SinkErrorClass::Deferred, "{n}: {error}");
                assert!(error.message.contains("no queue takes"), "{error}");
            }
        }
    }
    assert_eq!(stage.messages(600).await.len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_key_that_no_queue_takes_is_the_fault_of_the_provider() {
    let stage = Stage::shared().await;
    let sink = stage.sink(json!({"routing_key": "lost.new"})).await;
    let error = deliver(&sink, &carrying("a", &json!(1))).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error}");
    assert!(error.message.contains("no queue takes"), "{error}");
}
