//! The delayed path and the dead letter topic.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acteon_core::{Clock, Delay, ThrottledPolicy};
use acteon_ingest_kit::headers::{Owner, delayed_headers};
use acteon_testkit::{End, FakeIntake, action as an_action};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use tokio::time::Instant;

use super::delayed::written;
use super::{Running, Topic, WAIT_MAX, done, eventually};
use crate::config::Start;

/// Throttles each action the first time.
fn throttling(wait: Duration) -> std::sync::Arc<FakeIntake> {
    let seen = parking_lot::Mutex::new(Vec::new());
    FakeIntake::settling(move |envelope| {
        let mut seen = seen.lock();
        if seen.contains(&envelope.action.id) {
            return End::Done(done());
        }
        seen.push(envelope.action.id.clone());
        End::Later(wait, Delay::Throttled)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_action_waits_in_the_retry_topic_and_comes_again_as_it_was() {
    let topic = Topic::create("throttled", 1).await;
    let anonymous =
        r#"{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":1}"#;
    for _ in 0..3 {
        topic
            .publish_as(0, "key", anonymous.as_bytes(), OwnedHeaders::new())
            .await;
    }
    let wait = Duration::from_secs(2);
    let intake = throttling(wait);
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(3).await;
    let first_seen = Instant::now();
    topic.until_committed(0, 3).await;
    intake.wait_for_submitted(6).await;
    assert!(
        first_seen.elapsed() > wait - Duration::from_millis(500),
        "it came before it was due"
    );
    let mut seen: Vec<_> = intake.submitted();
    let mut again = seen.split_off(3);
    again.sort_by_key(|envelope| envelope.position.offset);
    for (before, after) in seen.iter().zip(&again) {
        assert_eq!(
            before.action, after.action,
            "its generated id and time are kept"
        );
        assert_eq!(before.position, after.position);
        assert!(!after.id_given);
    }
    running.stop().await;
    assert_eq!(topic.broker.lag("throttled").await.unwrap(), 0);
    let group = "throttled.orders.retry";
    let retries = "throttled.orders.retry.10s";
    let committed = topic.broker.committed(group, retries).await.unwrap();
    let read: i64 = committed.iter().filter_map(|(_, offset)| *offset).sum();
    assert_eq!(read, 3, "by a separate group");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_retry_topic_survives_a_crash() {
    let topic = Topic::create("waiting", 1).await;
    topic.publish(0, "a").await;
    let intake = throttling(Duration::from_secs(4));
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(1).await;
    topic.until_committed(0, 1).await;
    running.crash().await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(1).await;
    assert_eq!(intake.submitted_ids(), ["a"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_retry_topic_survives_a_crash_of_a_group_that_starts_at_the_latest() {
    let topic = Topic::create("latest", 1).await;
    let mut options = topic.options();
    options.start = Start::Latest;
    let intake = throttling(Duration::from_secs(4));
    let running = Running::start(options, &intake);
    running.until_ready().await;
    topic.publish(0, "a").await;
    intake.wait_for_submitted(1).await;
    topic.until_committed(0, 1).await;
    running.crash().await;
    let intake = FakeIntake::done();
    let mut options = topic.options();
    options.start = Start::Latest;
    let running = Running::start(options, &intake);
    intake.wait_for_submitted(1).await;
    assert_eq!(intake.submitted_ids(), ["a"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_source_keeps_what_is_throttled_at_the_head_of_its_key() {
    let topic = Topic::create("head", 1).await;
    topic.publish(0, "a").await;
    topic.publish(0, "b").await;
    let tries = AtomicUsize::new(0);
    let intake = FakeIntake::settling(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => End::Later(Duration::from_millis(300), Delay::Throttled),
        _ => End::Done(done()),
    });
    let mut options = topic.options();
    options.ordered = true;
    let running = Running::start(options, &intake);
    intake.wait_for_submitted(3).await;
    assert_eq!(intake.submitted_ids(), ["a", "a", "b"]);
    topic.until_committed(0, 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_published_too_when_a_topic_is_named() {
    let topic = Topic::create("letters", 1).await;
    topic.publish(0, "a").await;
    topic
        .publish_as(0, "key", b"nonsense", OwnedHeaders::new())
        .await;
    let intake = FakeIntake::settling(|_| End::DeadLetter);
    let mut options = topic.options();
    options.dead_letter_topic = Some("letters.dead".to_owned());
    let running = Running::start_with(options, &intake, |context| {
        context.throttled = ThrottledPolicy::Drop;
    });
    topic.until_committed(0, 2).await;
    let mut letters = Vec::new();
    let reader = reader(&topic, "letters.dead");
    while letters.len() < 2 {
        let record = reader.recv().await.unwrap();
        let kind = record
            .headers()
            .unwrap()
            .iter()
            .find(|h| h.key == "acteon-kind");
        let kind = String::from_utf8(kind.unwrap().value.unwrap().to_vec()).unwrap();
        letters.push((kind, record.payload().unwrap().to_vec()));
    }
    letters.sort();
    let expected = [
        ("exhausted".to_owned(), super::action("a").into_bytes()),
        ("poison".to_owned(), b"nonsense".to_vec()),
    ];
    assert_eq!(letters, expected);
    running.stop().await;
}

fn reader(topic: &Topic<'_>, name: &str) -> StreamConsumer {
    let mut config = topic.broker.client();
    config.set("group.id", format!("{name}.reader"));
    config.set("auto.offset.reset", "earliest");
    let reader: StreamConsumer = config.create().unwrap();
    reader.subscribe(&[name]).unwrap();
    reader
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_longer_than_an_hour_goes_on_in_another_copy() {
    let topic = Topic::create("patient", 1).await;
    let tier = "patient.orders.retry.1h";
    let running = Running::start(topic.options(), &FakeIntake::done());
    eventually("the topic is there", async || {
        written(topic.broker, tier).await == Some(0)
    })
    .await;
    let hour = Duration::from_secs(3_600);
    let now = Clock::system().now();
    let owner = Owner {
        source: "orders".into(),
        group: "patient".into(),
    };
    let envelope = an_action("a").position("kafka:patient/0", 7).envelope();
    let headers = delayed_headers(&owner, &envelope, now + 48 * hour);
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            let value = Some(value.as_str());
            headers.insert(Header { key, value })
        });
    // As if published an hour ago.
    let record = FutureRecord::to(tier)
        .key("key")
        .payload(&envelope.raw[..])
        .headers(headers)
        .timestamp((now - hour).as_millisecond());
    topic.producer.send(record, WAIT_MAX).await.unwrap();
    eventually("it is published again", async || {
        written(topic.broker, tier).await == Some(2)
    })
    .await;
    running.stop().await;
}
