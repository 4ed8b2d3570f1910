//! Stopping: accepted requests are answered, new ones are refused.

use std::pin::pin;

use acteon_core::{ActionOutcome, Shutdown, Source};
use acteon_testkit::FakeIntake;
use futures_util::poll;

use super::*;

#[tokio::test]
async fn after_the_stop_new_requests_are_refused_and_old_ones_answered() {
    let intake = FakeIntake::holding();
    let shutdown = Shutdown::default();
    let stop = shutdown.stop.clone();
    let api = api_with(intake.clone(), |context| context.stop = stop.clone());
    let mut running = pin!(api.source.run(shutdown));
    let mut request = pin!(api.post(ONE, wire("a")));
    assert!(poll!(request.as_mut()).is_pending());
    intake.wait_for_submitted(1).await;
    assert!(
        poll!(running.as_mut()).is_pending(),
        "it is not stopped yet"
    );

    stop.cancel();
    assert!(
        poll!(running.as_mut()).is_pending(),
        "a request is not answered"
    );
    for path in [ONE, MANY] {
        let (status, answer) = api.post(path, wire("b")).await;
        assert_eq!(status, 503);
        assert!(answer.contains("\"code\":\"SHUTTING_DOWN\""), "{answer}");
    }
    for delivery in intake.take_held() {
        delivery.done(ActionOutcome::Deduplicated(()));
    }
    assert_eq!(request.await.0, 200);
    running.await.unwrap();
    assert_eq!(intake.submitted_ids(), ["a"]);
}

#[tokio::test]
async fn unfinished_work_is_returned_when_the_drain_timeout_expires() {
    let intake = FakeIntake::done();
    intake.close();
    let shutdown = Shutdown::default();
    let api = api_with(intake.clone(), |context| {
        context.stop = shutdown.stop.clone();
    });
    assert_eq!(api.post(ONE, wire("a")).await.0, 200);
    shutdown.stop.cancel();
    let mut running = pin!(api.source.run(shutdown.clone()));
    assert!(
        poll!(running.as_mut()).is_pending(),
        "a batch is still being submitted"
    );
    shutdown.abandon.cancel();
    running.await.unwrap();
    api.source.work.wait().await;
}

#[tokio::test]
async fn it_is_ready_from_the_start() {
    let api = api(FakeIntake::done());
    assert!(api.source.readiness().ready);
}
