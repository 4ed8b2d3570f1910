//! Clauses about connections that a server closes between two requests or during one.

use super::{
    CannedResponse, ClosingReceiver, Harness, Stage, TIMEOUT, accepted, context, deliver, sink,
};

const REQUESTS: u32 = 20;

/// A request on a connection that its server closes at that moment may have been processed: the attempt fails, and no
/// request is sent twice.
pub async fn a_server_that_closes_after_each_answer_without_saying_so_gets_nothing_twice(
    harness: &dyn Harness,
) {
    let receiver = ClosingReceiver::start(harness.accepted()).await;
    let sink = sink(harness, receiver.url(), context(TIMEOUT)).await;
    let action = harness.action();
    let mut delivered = 0;
    for number in 1..=REQUESTS {
        match deliver(&*sink, &action, number).await {
            Ok(_) => delivered += 1,
            Err(error) => assert!(error.is_retryable(), "request {number}: {error:?}"),
        }
    }
    assert!(delivered >= REQUESTS / 2, "a new connection works");
    assert_eq!(receiver.answered(), delivered, "no request is sent twice");
}

/// The server has read it, so the attempt fails and the request is not sent again.
pub async fn a_request_that_breaks_on_a_connection_in_use_is_a_failed_attempt(
    harness: &dyn Harness,
) {
    let answers = [accepted(harness), CannedResponse::HangUp, accepted(harness)];
    let stage = Stage::set(harness, answers).await;
    stage.deliver(1).await.unwrap();
    let error = stage.deliver(2).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let received = stage.receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].from, received[1].from, "the same connection");
    stage.deliver(3).await.unwrap();
    assert_eq!(stage.receiver.received().len(), 3);
}
