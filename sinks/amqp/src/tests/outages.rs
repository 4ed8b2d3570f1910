//! Brokers that are lost or hang in the middle of an attempt.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;
use tokio::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_before_the_confirmation_is_a_transient_failure_at_once() {
    let stage = Stage::own().await;
    let sink = stage.sink(json!({})).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    stage.rabbit.pause().unwrap();
    let began = Instant::now();
    let action = carrying("b", &json!(1));
    let attempt = deliver(&sink, &action);
    tokio::pin!(attempt);
    // Polled once, it has handed the message to the client.
    assert!(futures_util::poll!(&mut attempt).is_pending());
    stage.rabbit.stop().await.unwrap();
    let error = attempt.await.unwrap_err();
    assert!(
        matches!(error.class, SinkErrorClass::Transient { .. }),
        "{error:?}"
    );
    assert_eq!(error.code, FailureCode::Connection, "{error:?}");
    assert!(began.elapsed() < WAIT_MAX / 2, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_broker_ends_attempts_in_time_and_nothing_else_is_needed_when_it_goes_on() {
    let stage = Stage::own().await;
    let sink = stage.sink_within(json!({}), LIMIT).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    stage.rabbit.pause().unwrap();
    let began = Instant::now();
    let actions = (0..300).map(|n| carrying(&n.to_string(), &json!(n)));
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
    stage.rabbit.resume().unwrap();
    let again = stage.sink_within(json!({}), WAIT_MAX).await;
    let action = carrying("last", &json!(1));
    deliver(&again, &action).await.unwrap();
    // The old sink recovers as well; its broker may still be busy with what it missed.
    let deadline = Instant::now() + WAIT_MAX;
    while let Err(error) = deliver(&sink, &carrying("old", &json!(1))).await {
        assert!(Instant::now() < deadline, "{error:?}");
    }
}
