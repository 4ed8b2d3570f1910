//! Brokers that are absent, stop and come back. Each test has its own broker.

use std::time::Duration;

use acteon_core::Secret;
use acteon_services::Kafka as Broker;
use acteon_testkit::FakeIntake;
use tokio::time::timeout;

use super::{Running, Topic, WAIT_MAX, done, eventually, options};

/// How long a source that has nothing in flight may take to stop without its broker.
const IDLE_STOP_MAX: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn a_source_outlives_its_broker_and_goes_on_when_it_is_back() {
    let broker = Broker::start().await.unwrap();
    let topic = Topic::create_on(&broker, "outage", 1).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    running.until_ready().await;
    topic.publish_many(0, 0..10).await;
    intake.wait_for_submitted(10).await;

    broker.stop().await.unwrap();
    let unready = async || !running.readiness().ready;
    eventually("the source is not ready without a broker", unready).await;
    broker.restart().await.unwrap();
    topic.publish_many(0, 10..20).await;
    intake.wait_for_submitted(20).await;
    running.until_ready().await;
    topic.until_committed(0, 20).await;

    broker.stop().await.unwrap();
    tokio::time::timeout(WAIT_MAX, running.stop())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_while_the_broker_is_away_is_committed_when_it_is_back() {
    let broker = Broker::start().await.unwrap();
    let topic = Topic::create_on(&broker, "away", 1).await;
    let intake = FakeIntake::holding();
    let mut options = topic.options();
    // Such a session survives a restart.
    let session = ("session.timeout.ms".to_owned(), Secret::new("45000"));
    options.connection.client.extend([session]);
    let running = Running::start(options, &intake);
    topic.publish_many(0, 0..10).await;
    intake.wait_for_submitted(10).await;
    broker.stop().await.unwrap();
    for delivery in intake.take_held() {
        delivery.done(done());
    }
    let unready = async || !running.readiness().ready;
    eventually("the source is not ready without a broker", unready).await;
    broker.restart().await.unwrap();
    topic.until_committed(0, 10).await;
    assert_eq!(intake.submitted_ids().len(), 10, "nothing came again");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_starts_before_its_broker_joins_when_it_comes() {
    let broker = Broker::start().await.unwrap();
    let topic = Topic::create_on(&broker, "early", 1).await;
    topic.publish_many(0, 0..5).await;
    broker.stop().await.unwrap();
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    assert!(!running.readiness().ready);
    broker.restart().await.unwrap();
    intake.wait_for_submitted(5).await;
    running.until_ready().await;
    topic.until_committed(0, 5).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_reported_and_read_when_it_is_created() {
    let broker = Broker::shared().await;
    let intake = FakeIntake::done();
    let mut options = options(broker.bootstrap(), "late");
    let every_second = acteon_core::Secret::new("1000");
    options.connection.client.insert(
        "topic.metadata.refresh.interval.ms".to_owned(),
        every_second,
    );
    let running = Running::start(options, &intake);
    eventually("the missing topic is reported", async || {
        let detail = running.readiness().detail;
        detail.as_deref() == Some("a topic it reads does not exist")
    })
    .await;
    let topic = Topic::create("late", 1).await;
    topic.publish(0, "a").await;
    intake.wait_for_submitted(1).await;
    running.until_ready().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_a_source_that_has_nothing_in_flight_stops_at_once() {
    let start = || Running::start(options("127.0.0.1:1", "nowhere"), &FakeIntake::done());
    let stopped = timeout(IDLE_STOP_MAX, start().stop()).await;
    assert!(stopped.is_ok(), "still stopping after {IDLE_STOP_MAX:?}");
    let running = start();
    eventually("the source reports that its broker is away", async || {
        running.readiness().detail.as_deref() != Some("is connecting")
    })
    .await;
    let stopped = timeout(IDLE_STOP_MAX, running.stop()).await;
    assert!(stopped.is_ok(), "still stopping after {IDLE_STOP_MAX:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_broker_is_gone_stops_at_once() {
    let broker = Broker::start().await.unwrap();
    let topic = Topic::create_on(&broker, "gone", 1).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    running.until_ready().await;
    topic.publish(0, "a").await;
    intake.wait_for_submitted(1).await;
    topic.until_committed(0, 1).await;
    broker.stop().await.unwrap();
    let unready = async || !running.readiness().ready;
    eventually("the source is not ready without a broker", unready).await;
    let stopped = timeout(IDLE_STOP_MAX, running.stop()).await;
    assert!(stopped.is_ok(), "still stopping after {IDLE_STOP_MAX:?}");
}
