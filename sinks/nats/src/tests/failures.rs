//! What a stream refuses.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;

use futures_util::StreamExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_the_provider_is_at_fault_until_there_is_one_again() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({})).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    let jetstream = stage.nats.jetstream().await.unwrap();
    jetstream.delete_stream("ORDERS").await.unwrap();
    let error = deliver(&sink, &carrying("b", &json!(1))).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error}");
    assert!(error.message.contains("no stream takes"), "{error}");
    let error = sink.dial().await.unwrap_err();
    assert_eq!(error.option, "subject");
    stage.stream(stream::Config::default()).await;
    deliver(&sink, &carrying("c", &json!(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_without_a_stream_puts_off_its_action_alone() {
    let stage = Stage::start().await;
    let more = json!({"subject": "{{ payload.at }}.new"});
    let sink = stage.sink(more).await;
    let actions = ["orders", "mars", "orders"]
        .iter()
        .enumerate()
        .map(|(n, at)| carrying(&n.to_string(), &json!({"at": at})));
    let mut results = deliver_all(&sink, actions).await;
    let error = results.remove(1).unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Deferred, "{error:?}");
    assert_eq!(error.code, FailureCode::Configuration);
    assert!(error.message.contains("no stream takes"), "{error}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_acknowledges_nothing_is_found_before_the_first_message() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({})).await;
    let silent = stream::Config {
        no_ack: true,
        ..stream::Config::default()
    };
    stage.stream(silent).await;
    let error = sink.dial().await.unwrap_err();
    assert_eq!(error.option, "subject");
    assert!(error.message.contains("`no_ack`"), "{error}");
    assert_eq!(stage.stored().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_is_transient_until_there_is_room() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({"body": "payload"})).await;
    let small = stream::Config {
        max_bytes: 2_000,
        discard: stream::DiscardPolicy::New,
        ..stream::Config::default()
    };
    stage.stream(small).await;
    let payload = json!("x".repeat(1_200));
    deliver(&sink, &carrying("a", &payload)).await.unwrap();
    let error = deliver(&sink, &carrying("b", &payload)).await.unwrap_err();
    assert!(
        matches!(error.class, SinkErrorClass::Transient { .. }),
        "{error:?}"
    );
    assert!(error.message.contains("maximum bytes exceeded"), "{error}");
    let jetstream = stage.nats.jetstream().await.unwrap();
    let stream = jetstream.get_stream("ORDERS").await.unwrap();
    stream.purge().await.unwrap();
    deliver(&sink, &carrying("b", &payload)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_the_stream_takes_is_a_permanent_failure() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({"body": "payload"})).await;
    let small = stream::Config {
        max_message_size: 1_000,
        ..stream::Config::default()
    };
    stage.stream(small).await;
    let large = carrying("a", &json!("x".repeat(2_000)));
    let error = deliver(&sink, &large).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent, "{error}");
    assert!(error.is_too_large);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_that_answers_is_not_taken_for_a_stream() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({"subject": "elsewhere"})).await;
    let other = async_nats::connect(stage.nats.url()).await.unwrap();
    let mut heard = other.subscribe("elsewhere").await.unwrap();
    other.flush().await.unwrap();
    let answering = async {
        let message = heard.next().await.unwrap();
        let reply = message.reply.unwrap();
        other.publish(reply, "thanks".into()).await.unwrap();
        other.flush().await.unwrap();
    };
    let action = carrying("a", &json!(1));
    let (result, ()) = tokio::join!(deliver(&sink, &action), answering);
    let error = result.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error}");
    assert_eq!(error.code, FailureCode::Configuration);
}
