//! The committed offset never passes an unsettled record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acteon_core::Refusal;
use acteon_testkit::{End, FakeIntake};

use super::{Running, Topic, WAIT_MAX, done, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_what_was_not_settled_comes_again_and_nothing_else() {
    let topic = Topic::create("crash", 1).await;
    topic.publish_many(0, 0..100).await;
    let intake = FakeIntake::holding();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(100).await;
    // All but 40 and 70 are settled: 40 holds the offset below everything after it.
    let mut left = Vec::new();
    for delivery in intake.take_held() {
        match delivery.position.offset {
            Some(40 | 70) => left.push(delivery),
            _ => delivery.done(done()),
        }
    }
    eventually("what is settled beyond 40 is committed", async || {
        topic.committed_metadata(0).ends_with(" 1+29,1+29")
    })
    .await;
    running.crash().await;
    drop(left);
    assert_eq!(topic.committed(0).await, Some(40));

    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    topic.until_committed(0, 100).await;
    let again: Vec<_> = intake.submitted();
    let again: Vec<_> = again.iter().map(|e| e.position.offset).collect();
    assert_eq!(again, [Some(40), Some(70)]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_dropped_or_refused_comes_again_until_it_is_settled() {
    let topic = Topic::create("dropped", 1).await;
    topic.publish_many(0, 0..3).await;
    let tries = AtomicUsize::new(0);
    let intake = FakeIntake::settling(move |envelope| match envelope.action.id.as_str() {
        "1" => match tries.fetch_add(1, Ordering::Relaxed) {
            0 => End::Hold,
            1 => End::Retry(Duration::ZERO, Refusal::StateUnavailable),
            2 => End::Retry(Duration::from_millis(50), Refusal::Overloaded),
            _ => End::Done(done()),
        },
        _ => End::Done(done()),
    });
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(3).await;
    topic.until_committed(0, 1).await;
    drop(intake.take_held());
    topic.until_committed(0, 3).await;
    let tried = intake
        .submitted_ids()
        .iter()
        .filter(|id| *id == "1")
        .count();
    assert_eq!(tried, 4);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_in_flight_and_commits_it() {
    let topic = Topic::create("drain", 1).await;
    topic.publish_many(0, 0..50).await;
    let intake = FakeIntake::holding();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(50).await;
    running.shutdown.stop.cancel();
    for delivery in intake.take_held() {
        delivery.done(done());
    }
    running.stop().await;
    assert_eq!(topic.committed(0).await, Some(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_offers_again_what_was_refused_for_a_moment() {
    let topic = Topic::create("refused", 1).await;
    topic.publish_many(0, 0..3).await;
    let tries = AtomicUsize::new(0);
    let intake = FakeIntake::settling(move |envelope| match envelope.action.id.as_str() {
        "0" if tries.fetch_add(1, Ordering::Relaxed) == 0 => {
            End::Retry(Duration::from_millis(500), Refusal::Overloaded)
        }
        _ => End::Done(done()),
    });
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(3).await;
    running.stop().await;
    assert_eq!(topic.committed(0).await, Some(3));
    assert_eq!(intake.submitted_ids(), ["0", "1", "2", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_abandoned_commits_what_is_settled_and_leaves_the_rest() {
    let topic = Topic::create("abandon", 1).await;
    topic.publish_many(0, 0..50).await;
    let intake = FakeIntake::holding();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(50).await;
    let mut held = intake.take_held();
    for delivery in held.drain(..20) {
        delivery.done(done());
    }
    running.shutdown.stop.cancel();
    tokio::time::timeout(WAIT_MAX, running.abandon())
        .await
        .unwrap();
    topic.until_committed(0, 20).await;
    drop(held);
    eventually("nothing more is committed", async || {
        topic.committed(0).await == Some(20)
    })
    .await;
}
