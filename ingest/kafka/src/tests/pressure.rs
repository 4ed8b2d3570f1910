//! Back-pressure: no room means no reading, and the member stays in its group.

use std::time::Duration;

use acteon_core::Admission;
use acteon_testkit::{End, FakeIntake};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use tokio::time::{Instant, sleep_until};

use super::{Running, Topic, action, done, eventually, options};

/// Longer than the session timeout, and than a source without room leaves its client unpolled.
const LONG: Duration = Duration::from_secs(11);

/// Of a hundred: the rest is for the delayed path.
const BOUND: usize = 88;

#[tokio::test(flavor = "multi_thread")]
async fn a_source_at_its_bound_reads_no_more_stays_in_its_group_and_goes_on() {
    let topic = Topic::create("bound", 2).await;
    let intake = FakeIntake::holding();
    let running = Running::start_with(topic.options(), &intake, |context| {
        context.max_in_flight = Some(100);
    });
    running.until_ready().await;
    topic.publish_many(0, 0..500).await;
    topic.publish_many(1, 500..1000).await;
    intake.wait_for_submitted(BOUND).await;
    // The elapsed time itself is under test: the session timeout passes.
    sleep_until(Instant::now() + LONG).await;
    assert_eq!(intake.submitted_ids().len(), BOUND);
    assert!(running.readiness().ready, "it is still in its group");
    while intake.submitted_ids().len() < 1000 {
        let before = intake.submitted_ids().len();
        for delivery in intake.take_held() {
            delivery.done(done());
        }
        intake.wait_for_submitted((before + 1).min(1000)).await;
    }
    for delivery in intake.take_held() {
        delivery.done(done());
    }
    topic.until_committed(0, 500).await;
    topic.until_committed(1, 500).await;
    let mut ids = intake.submitted_ids();
    ids.sort();
    ids.dedup();
    assert_eq!(
        (ids.len(), intake.submitted_ids().len()),
        (1000, 1000),
        "each once"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_in_the_process_a_source_waits_and_never_exceeds_the_bound() {
    let topic = Topic::create("process", 1).await;
    topic.publish_many(0, 0..300).await;
    let intake = FakeIntake::holding();
    let admission = Admission::new(50, 16 << 20);
    let others = admission.admit(45, 1).await;
    let running = Running::start_with(topic.options(), &intake, |context| {
        context.admission = admission.clone();
        context.max_batch = 20;
    });
    running.until_ready().await;
    assert!(intake.submitted_ids().len() <= 5);
    drop(others);
    let mut taken = 0;
    while taken < 300 {
        intake.wait_for_submitted(taken + 1).await;
        assert!(admission.actions_in_flight() <= 50);
        for delivery in intake.take_held() {
            taken += 1;
            delivery.done(done());
        }
    }
    topic.until_committed(0, 300).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_takes_no_more_stops_the_reading_and_not_the_membership() {
    let topic = Topic::create("closed", 1).await;
    topic.publish_many(0, 0..2000).await;
    let intake = FakeIntake::done();
    intake.close();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(1).await;
    sleep_until(Instant::now() + LONG).await;
    let handed_in = intake.batch_sizes();
    assert_eq!(handed_in.len(), 1, "one batch is being handed in");
    assert!(running.readiness().ready);
    intake.open();
    intake.wait_for_submitted(2000).await;
    topic.until_committed(0, 2000).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sources_leave_three_quarters_of_the_bytes_to_others() {
    const BYTES_MAX: u64 = 256 << 20;
    let admission = Admission::new(100, BYTES_MAX);
    let intake = FakeIntake::done();
    let running: Vec<_> = (0..8)
        .map(|_| {
            Running::start_with(options("127.0.0.1:1", "orders"), &intake, |context| {
                context.admission = admission.clone();
                context.prefetch_bytes = admission.reserve_max() / 8;
            })
        })
        .collect();
    eventually("each source has reserved its prefetch", async || {
        admission.bytes_reserved() == admission.reserve_max()
    })
    .await;
    assert!(admission.try_admit(1, BYTES_MAX / 4 * 3).is_some());
    for source in running {
        source.stop().await;
    }
    assert_eq!(admission.bytes_reserved(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_larger_than_all_bounds_is_handed_in_alone() {
    const BYTES_MAX: u64 = 2 << 20;
    let mut topic = Topic::create("overlarge", 1).await;
    let mut client = topic.broker.client();
    client.set("message.max.bytes", "10000000");
    topic.producer = client.create().unwrap();
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let resource = ResourceSpecifier::Topic(topic.name);
    let config = AlterConfig::new(resource).set("max.message.bytes", "10000000");
    let altered = admin.alter_configs([&config], &AdminOptions::new()).await;
    assert!(altered.unwrap()[0].is_ok());
    let large = action("large").replace("{}", &format!("\"{}\"", "x".repeat(5_000_000)));
    topic.publish(0, "before").await;
    topic
        .publish_as(0, "key", large.as_bytes(), OwnedHeaders::new())
        .await;
    topic.publish(0, "after").await;
    let admission = Admission::new(100, BYTES_MAX);
    let intake = FakeIntake::holding();
    let running = Running::start_with(topic.options(), &intake, |context| {
        context.admission = admission.clone();
        context.prefetch_bytes = admission.reserve_max();
        context.max_batch = 1;
    });
    for id in ["before", "large", "after"] {
        eventually("the next is handed in", async || {
            intake.submitted_ids().last().is_some_and(|last| last == id)
        })
        .await;
        if id == "large" {
            assert!(admission.try_admit(1, 1).is_none(), "it takes all the room");
        }
        for delivery in intake.take_held() {
            delivery.done(done());
        }
    }
    topic.until_committed(0, 3).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_that_takes_long_does_not_stop_those_behind_it() {
    let topic = Topic::create("hung", 1).await;
    let intake = FakeIntake::settling(|envelope| match envelope.action.id.as_str() {
        "0" => End::Hold,
        _ => End::Done(done()),
    });
    let running = Running::start_with(topic.options(), &intake, |context| {
        context.max_in_flight = Some(100);
    });
    topic.publish_many(0, 0..2000).await;
    intake.wait_for_submitted(2000).await;
    assert_eq!(
        topic.committed(0).await.unwrap_or(0),
        0,
        "it holds the commit"
    );
    for delivery in intake.take_held() {
        delivery.done(done());
    }
    topic.until_committed(0, 2000).await;
    running.stop().await;
}
