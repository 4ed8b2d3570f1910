//! Clauses about connections that a server closes between two requests or during one.

use super::{CannedResponse, ClosingReceiver, Harness, Stage, TIMEOUT, accepted, context, deliver};

const REQUESTS: u32 = 20;

/// Every delivery succeeds, and no request is sent twice.
pub async fn a_server_that_closes_after_each_answer_without_saying_so_does_not_fail(
    harness: &dyn Harness,
) {
    let receiver = ClosingReceiver::start(harness.accepted()).await;
    let sink = harness.sink(receiver.url(), context(TIMEOUT)).await;
    let sink = sink.unwrap();
    let action = harness.action();
    for number in 1..=REQUESTS {
        let delivered = deliver(&*sink, &action, number).await;
        assert!(delivered.is_ok(), "request {number}: {delivered:?}");
    }
    assert_eq!(receiver.answered(), REQUESTS, "no request is sent twice");
}

/// The server may have read it, so it is sent once more under the same key, and not a third time.
pub async fn a_request_that_breaks_on_a_connection_in_use_is_sent_once_more(harness: &dyn Harness) {
    let answers = [accepted(harness), CannedResponse::HangUp, accepted(harness)];
    let stage = Stage::set(harness, answers).await;
    stage.deliver(1).await.unwrap();
    stage.deliver(2).await.unwrap();
    let received = stage.receiver.received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[0].from, received[1].from, "the same connection");
    assert_ne!(received[1].from, received[2].from, "a new connection");
    let keys: Vec<_> = received
        .iter()
        .map(|one| harness.idempotency_key(one))
        .collect();
    assert!(keys.iter().all(|key| key == &keys[0]), "{keys:?}");

    let answers = [
        accepted(harness),
        CannedResponse::HangUp,
        CannedResponse::HangUp,
    ];
    let stage = Stage::set(harness, answers).await;
    stage.deliver(1).await.unwrap();
    assert!(stage.deliver(2).await.is_err());
    assert_eq!(stage.receiver.received().len(), 3);
}
