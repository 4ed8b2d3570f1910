//! Servers that are lost or hang in the middle of an attempt.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;
use tokio::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_the_ack_is_a_transient_failure_at_once() {
    let stage = Stage::start().await;
    let sink = stage.sink(json!({})).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    stage.nats.pause().unwrap();
    let began = Instant::now();
    let action = carrying("b", &json!(1));
    let attempt = deliver(&sink, &action);
    tokio::pin!(attempt);
    // Polled once, it has handed the message to the client.
    assert!(futures_util::poll!(&mut attempt).is_pending());
    stage.nats.stop().await.unwrap();
    let error = attempt.await.unwrap_err();
    assert!(
        matches!(error.class, SinkErrorClass::Transient { .. }),
        "{error:?}"
    );
    assert_eq!(error.code, FailureCode::Connection, "{error:?}");
    assert!(began.elapsed() < WAIT_MAX / 2, "{:?}", began.elapsed());
    stage.nats.restart().await.unwrap();
    deliver(&sink, &action).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_server_ends_attempts_in_time_and_nothing_else_is_needed_when_it_goes_on() {
    let stage = Stage::start().await;
    let sink = stage.sink_within(json!({}), LIMIT).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    stage.nats.pause().unwrap();
    let began = Instant::now();
    let actions = (0..100).map(|n| carrying(&n.to_string(), &json!(n)));
    for result in deliver_all(&sink, actions).await {
        let error = result.unwrap_err();
        assert!(
            matches!(error.class, SinkErrorClass::Transient { .. }),
            "{error:?}"
        );
        assert_eq!(error.code, FailureCode::Timeout);
    }
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    // A new sink cannot connect meanwhile, and says so in time.
    let other = stage.sink_within(json!({}), LIMIT).await;
    let error = deliver(&other, &carrying("x", &json!(1)))
        .await
        .unwrap_err();
    assert!(
        matches!(error.class, SinkErrorClass::Transient { .. }),
        "{error:?}"
    );
    assert!(other.dial().await.is_err());
    stage.nats.resume().unwrap();
    let actions = (0..100).map(|n| carrying(&n.to_string(), &json!(n)));
    for result in deliver_all(&sink, actions).await {
        result.unwrap();
    }
    assert_eq!(stage.stored().await, 101, "each is there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_after_its_attempt_has_ended() {
    let stage = Stage::start().await;
    let sink = stage.sink_within(json!({}), LIMIT).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    stage.nats.stop().await.unwrap();
    let actions = (0..500).map(|n| carrying(&n.to_string(), &json!(n)));
    let results = deliver_all(&sink, actions).await;
    assert!(results.iter().all(Result::is_err));
    stage.nats.restart().await.unwrap();
    deliver(&sink, &carrying("z", &json!(1))).await.unwrap();
    assert_eq!(stage.stored().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_first_that_answers_is_used() {
    let stage = Stage::start().await;
    let urls = format!("nats://127.0.0.1:1, {}", stage.nats.url());
    let sink = stage.sink_within(json!({"url": urls}), WAIT_MAX).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
}
