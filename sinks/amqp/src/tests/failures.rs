//! What a broker refuses.

use acteon_core::sink::SinkErrorClass;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn without_its_exchange_the_provider_is_at_fault_until_there_is_one_again() {
    let stage = Stage::shared().await;
    let sink = stage.sink(json!({})).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    let channel = stage.rabbit.connect().await.unwrap();
    let channel = channel.create_channel().await.unwrap();
    let options = lapin::options::ExchangeDeleteOptions::default();
    channel
        .exchange_delete(stage.name.as_str().into(), options)
        .await
        .unwrap();
    let actions = (0..20).map(|n| carrying(&n.to_string(), &json!(n)));
    for result in deliver_all(&sink, actions).await {
        let error = result.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
        assert!(error.message.contains("no exchange 'orders-"), "{error}");
    }
    let error = sink.dial().await.unwrap_err();
    assert_eq!(error.option, "exchange");
    assert!(error.message.contains("there is no exchange"), "{error}");
    stage.queue("-others", "orders.#", &[]).await;
    deliver(&sink, &carrying("c", &json!(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_that_rejects_is_transient_until_there_is_room() {
    let stage = Stage::shared().await;
    let limits = [
        ("x-max-length", AMQPValue::LongInt(1)),
        ("x-overflow", AMQPValue::LongString("reject-publish".into())),
    ];
    let small = stage.queue("-small", "small.#", &limits).await;
    let sink = stage.sink(json!({"routing_key": "small.new"})).await;
    let mut refused = None;
    for n in 0..5 {
        let result = deliver(&sink, &carrying(&n.to_string(), &json!(n))).await;
        refused = result.err().or(refused);
    }
    let error = refused.expect("there is room for one");
    assert!(
        matches!(error.class, SinkErrorClass::Transient { .. }),
        "{error:?}"
    );
    stage.rabbit.messages(&small, 1).await.unwrap();
    deliver(&sink, &carrying("c", &json!(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_less_than_configured_refuses_that_message_alone() {
    let stage = Stage::shared().await;
    let more = json!({"max_message_bytes": 8 << 20, "body": "payload"});
    let sink = stage.sink(more).await;
    let mut actions: Vec<_> = (0..50)
        .map(|n| carrying(&n.to_string(), &json!(n)))
        .collect();
    actions.insert(25, carrying("large", &json!("x".repeat(3 << 20))));
    let mut results = deliver_all(&sink, actions).await;
    let error = results.remove(25).unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent, "{error}");
    assert!(error.is_too_large, "{error}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_fit_into_no_frame_are_not_sent() {
    let stage = Stage::shared().await;
    let sink = stage.sink(json!({"body": "cloudevents_binary"})).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    let mut action = carrying("large", &json!(1));
    action.labels.insert("note", "x".repeat(200_000));
    let error = deliver(&sink, &action).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent, "{error}");
    assert!(error.is_too_large, "{error}");
    deliver(&sink, &carrying("b", &json!(1))).await.unwrap();
}
