//! Lag and readiness, as reported with a real broker.

use std::sync::OnceLock;

use acteon_testkit::FakeIntake;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::task::spawn_blocking;

use super::{Running, Topic, WAIT_MAX, action, eventually};
use crate::Start;

/// The metrics of this process.
fn metrics() -> &'static PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// The reported lag of a partition; `None` before the first report.
fn lag(topic: &Topic<'_>, partition: i32) -> Option<u64> {
    let labels = format!("topic=\"{}\",partition=\"{partition}\"", topic.name);
    let text = metrics().render();
    let line = text
        .lines()
        .find(|line| line.starts_with("acteon_kafka_lag") && line.contains(&labels))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn until_lag_is(topic: &Topic<'_>, partition: i32, wanted: u64) {
    let what = format!("the lag of {}/{partition} is {wanted}", topic.name);
    eventually(&what, async || lag(topic, partition) == Some(wanted)).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Commit,
    Abort,
}

/// Publishes these actions in one transaction.
async fn in_transaction(producer: &FutureProducer, topic: &str, ids: [&str; 2], ending: Ending) {
    producer.begin_transaction().unwrap();
    for id in ids {
        let value = action(id);
        let record = FutureRecord::<str, str>::to(topic)
            .partition(0)
            .payload(&value);
        producer.send(record, WAIT_MAX).await.unwrap();
    }
    let producer = producer.clone();
    let ended = spawn_blocking(move || match ending {
        Ending::Commit => producer.commit_transaction(WAIT_MAX),
        Ending::Abort => producer.abort_transaction(WAIT_MAX),
    });
    ended.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_no_record_is_no_lag_and_keeps_no_source_from_being_ready() {
    metrics();
    let topic = Topic::create("aborted", 1).await;
    let mut client = topic.broker.client();
    client.set("transactional.id", "aborted");
    let producer: FutureProducer = client.create().unwrap();
    let beginning = producer.clone();
    let initialized = spawn_blocking(move || beginning.init_transactions(WAIT_MAX));
    initialized.await.unwrap().unwrap();
    in_transaction(&producer, topic.name, ["a", "b"], Ending::Commit).await;
    in_transaction(&producer, topic.name, ["c", "d"], Ending::Abort).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(2).await;
    topic.until_committed(0, 2).await;
    until_lag_is(&topic, 0, 0).await;
    running.until_ready().await;
    assert_eq!(intake.submitted_ids(), ["a", "b"]);
    // The log has six offsets: two records, a marker, two aborted records, and a marker.
    assert_eq!(topic.broker.lag(topic.name).await.unwrap(), 4);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_a_group_that_begins_at_the_latest_is_no_lag() {
    metrics();
    let topic = Topic::create("history", 1).await;
    topic.publish_many(0, 0..100).await;
    let intake = FakeIntake::done();
    let mut options = topic.options();
    options.start = Start::Latest;
    let running = Running::start(options, &intake);
    until_lag_is(&topic, 0, 0).await;
    running.until_ready().await;
    topic.publish(0, "next").await;
    intake.wait_for_submitted(1).await;
    assert_eq!(intake.submitted_ids(), ["next"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_settled_is_lag() {
    metrics();
    let topic = Topic::create("lagging", 1).await;
    topic.publish_many(0, 0..5).await;
    let intake = FakeIntake::holding();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(5).await;
    until_lag_is(&topic, 0, 5).await;
    for delivery in intake.take_held() {
        delivery.done(super::done());
    }
    until_lag_is(&topic, 0, 0).await;
    running.stop().await;
}
