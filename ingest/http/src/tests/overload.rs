//! Requests without room in flight.

use acteon_core::ActionOutcome;
use acteon_testkit::FakeIntake;
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_and_then_gets_503_with_a_retry_time() {
    let intake = FakeIntake::done();
    let api = api_with(intake.clone(), |context| {
        context.admission = Admission::new(1, 1 << 20);
    });
    let taken = api.source.context.admission.admit(1, 1).await;
    let before = Instant::now();
    let response = api.send(posting(ONE, wire("a"))).await;
    assert_eq!(before.elapsed(), Duration::from_millis(100));
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    let (_, answer) = read(response).await;
    assert!(
        answer.contains("\"code\":\"OVERLOADED\"") && answer.contains("\"retry_after\":1"),
        "{answer}"
    );
    drop(taken);
    assert_eq!(api.post(ONE, wire("a")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn room_that_comes_in_time_is_taken() {
    let intake = FakeIntake::holding();
    let api = api_with(intake.clone(), |context| {
        context.admission = Admission::new(1, 1 << 20);
    });
    let free = async {
        intake.wait_for_submitted(1).await;
        tokio::time::sleep(Duration::from_millis(99)).await;
        for n in 1..=2 {
            intake.wait_for_submitted(n).await;
            for delivery in intake.take_held() {
                delivery.done(ActionOutcome::Deduplicated(()));
            }
        }
    };
    let (first, second, ()) =
        tokio::join!(api.post(ONE, wire("a")), api.post(ONE, wire("b")), free);
    assert_eq!((first.0, second.0), (200, 200));
}

#[tokio::test(start_paused = true)]
async fn a_large_body_needs_more_room_than_a_small_one() {
    let intake = FakeIntake::done();
    let api = api_with(intake, |context| {
        context.admission = Admission::new(10, 1 << 20);
    });
    let payload = format!("\"{}\"", "x".repeat(100 << 10));
    let large = wire_with("a", &payload);
    let room = (1 << 20) - (50 << 10);
    let taken = api.source.context.admission.admit(1, room).await;
    assert_eq!(api.post(ONE, large.clone()).await.0, 503);
    assert_eq!(
        api.post(ONE, wire("a")).await.0,
        200,
        "a small one has room"
    );
    drop(taken);
    assert_eq!(api.post(ONE, large).await.0, 200);
    assert_eq!(api.source.context.admission.bytes_in_flight(), 0);
}
