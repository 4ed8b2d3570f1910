//! The delayed path: one topic per tier, records that name their owner, and copies that the broker refuses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::{AttemptRecord, Delay, FailureCode, History};
use acteon_services::Kafka as Broker;
use acteon_testkit::{End, FakeIntake};
use jiff::Timestamp;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedHeaders};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::{Running, Topic, WAIT_MAX, action, done, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// Delays each action the first time, for `wait` of its id.
fn delaying(wait: impl Fn(&str) -> Duration + Send + Sync + 'static) -> Arc<FakeIntake> {
    let seen = parking_lot::Mutex::new(BTreeSet::new());
    FakeIntake::settling(move |envelope| {
        let id = envelope.action.id.clone();
        match seen.lock().insert(id.clone()) {
            true => End::Later(wait(&id), Delay::Throttled),
            false => End::Done(done()),
        }
    })
}

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    broker.client().create().unwrap()
}

fn with_timeout() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(WAIT_MAX))
}

async fn create_with(broker: &Broker, name: &str, settings: &[(&str, &str)]) {
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let topic = settings
        .iter()
        .fold(topic, |topic, (key, value)| topic.set(key, value));
    let created = admin(broker).create_topics([&topic], &with_timeout()).await;
    created.unwrap().remove(0).unwrap();
}

async fn delete(broker: &Broker, name: &str) {
    let deleted = admin(broker).delete_topics(&[name], &with_timeout()).await;
    deleted.unwrap().remove(0).unwrap();
}

async fn setting(broker: &Broker, topic: &str, name: &str) -> String {
    let asked = [ResourceSpecifier::Topic(topic)];
    let described = admin(broker)
        .describe_configs(&asked, &with_timeout())
        .await;
    let described = described.unwrap().remove(0).unwrap();
    described.get(name).unwrap().value.clone().unwrap()
}

/// How many records were ever written to a topic. `None` if there is no such topic, or its partitions are just being
/// created or deleted.
pub(super) async fn written(broker: &Broker, topic: &str) -> Option<i64> {
    let config = broker.client();
    let topic = topic.to_owned();
    let counted = spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(&topic), WAIT_MAX).ok()?;
        let partitions = metadata.topics()[0].partitions();
        let ends = partitions.iter().map(|partition| {
            let ends = consumer.fetch_watermarks(&topic, partition.id(), WAIT_MAX);
            ends.ok().map(|(_, high)| high)
        });
        ends.sum::<Option<i64>>().filter(|_| !partitions.is_empty())
    });
    counted.await.unwrap()
}

/// The key and the headers of the first record of a topic.
async fn first_record(broker: &Broker, topic: &str) -> (Vec<u8>, Vec<(String, String)>) {
    let mut config = broker.client();
    let topic = topic.to_owned();
    config.set("group.id", format!("{topic}.looking"));
    config.set("auto.offset.reset", "earliest");
    let read = spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let mut records = consumer.iter();
        let record = records.next().unwrap().unwrap();
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let headers = record.headers().unwrap().iter();
        let headers = headers.map(|header| (header.key.to_owned(), text(header.value)));
        (record.key().unwrap().to_vec(), headers.collect())
    });
    read.await.unwrap()
}

fn large_action(id: &str, bytes: usize) -> Vec<u8> {
    let payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes));
    action(id).replace("{}", &payload).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_of_a_minute_do_not_hold_up_a_wait_of_a_second() {
    let topic = Topic::create("tiers", 1).await;
    topic.publish_many(0, 0..600).await;
    topic.publish(0, "short").await;
    let intake = delaying(|id| match id {
        "short" => SECOND,
        _ => 60 * SECOND,
    });
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(601).await;
    let first_seen = Instant::now();
    intake.wait_for_submitted(602).await;
    assert_eq!(intake.submitted_ids()[601], "short");
    let took = first_seen.elapsed();
    assert!(took < 8 * SECOND, "it took {took:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_record_keeps_its_key_and_names_its_owner() {
    let topic = Topic::create("labelled", 1).await;
    topic
        .publish_as(0, "the key", action("a").as_bytes(), OwnedHeaders::new())
        .await;
    let intake = delaying(|_| 30 * SECOND);
    let running = Running::start(topic.options(), &intake);
    topic.until_committed(0, 1).await;
    let (key, headers) = first_record(topic.broker, "labelled.orders.retry.1m").await;
    assert_eq!(key, b"the key");
    for (name, value) in [
        ("acteon-source", "orders"),
        ("acteon-group", "labelled"),
        ("acteon-position", "kafka:labelled/0@0"),
        ("acteon-action-id", "a"),
    ] {
        let pair = (name.to_owned(), value.to_owned());
        assert!(headers.contains(&pair), "{headers:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_share_retry_topics_do_not_deliver_each_others_actions() {
    let topics = [
        Topic::create("mine", 1).await,
        Topic::create("yours", 1).await,
    ];
    let options = |topic: &Topic<'_>, group: &str| {
        let mut options = topic.options();
        options.group_id = group.to_owned();
        options.retry_topic = Some("ours.retry".to_owned());
        options
    };
    // Two sources in one group, and one source name in two groups.
    let sources = [("mine", "one", 0), ("yours", "one", 1), ("mine", "two", 0)];
    let mut running = Vec::new();
    for (name, group, topic) in sources {
        let intake = delaying(|_| SECOND);
        let options = options(&topics[topic], group);
        let source = Running::start_with(options, &intake, |context| context.name = name.into());
        running.push((source, intake, format!("{group}.{name}.retry")));
    }
    topics[0].publish_many(0, 0..5).await;
    topics[1].publish_many(0, 5..10).await;
    for (source, intake, group) in running {
        intake.wait_for_submitted(10).await;
        let own: BTreeSet<String> = intake.submitted_ids().into_iter().collect();
        assert_eq!(own.len(), 5, "{own:?}");
        // Records passed over are committed like delivered ones.
        eventually("all retry records are committed", async || {
            topics[0].broker.lag(&group).await.unwrap() == 0
        })
        .await;
        assert_eq!(
            intake.submitted_ids().len(),
            10,
            "each source read its own record twice, and no other"
        );
        source.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_longer_than_the_default_limit_waits_and_is_published_like_anything_else() {
    let broker = Broker::shared().await;
    create_with(broker, "lengthy", &[("max.message.bytes", "3000000")]).await;
    let mut client = broker.client();
    client.set("message.max.bytes", "3000000");
    let topic = Topic {
        broker,
        name: "lengthy",
        producer: client.create().unwrap(),
    };
    let throttled = large_action("a", 1_500_000);
    topic
        .publish_as(0, "key", &throttled, OwnedHeaders::new())
        .await;
    topic
        .publish_as(0, "key", &vec![b'x'; 2_000_000], OwnedHeaders::new())
        .await;
    let intake = delaying(|_| SECOND);
    let mut options = topic.options();
    options.dead_letter_topic = Some("lengthy.dead".to_owned());
    let running = Running::start(options, &intake);
    topic.until_committed(0, 2).await;
    intake.wait_for_submitted(2).await;
    assert_eq!(intake.submitted_ids(), ["a", "a"]);
    assert_eq!(written(broker, "lengthy.dead").await, Some(1));
    assert!(intake.given_up().is_empty());
    let retry = "lengthy.orders.retry.1h";
    let limit = setting(broker, retry, "max.message.bytes").await;
    assert!(limit.parse::<u64>().unwrap() >= 3_000_000);
    let kept = setting(broker, retry, "retention.ms").await;
    assert_eq!(kept, (7 * 86_400_000).to_string());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_its_topic_refuses_permanently_becomes_a_dead_letter_and_holds_up_no_commit() {
    let broker = Broker::shared().await;
    let topic = Topic::create_on(broker, "narrow", 1).await;
    let narrow = [("max.message.bytes", "1000")];
    for own in ["narrow.orders.retry.1s", "narrow.dead"] {
        create_with(broker, own, &narrow).await;
    }
    topic
        .publish_as(0, "key", &large_action("large", 5_000), OwnedHeaders::new())
        .await;
    topic.publish(0, "small").await;
    let intake = delaying(|_| SECOND);
    let mut options = topic.options();
    options.dead_letter_topic = Some("narrow.dead".to_owned());
    let running = Running::start(options, &intake);
    topic.until_committed(0, 2).await;
    let letters = intake.given_up();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].action.as_ref().unwrap().id, "large");
    assert!(
        letters[0].message.contains("refuses to keep it"),
        "{letters:?}"
    );
    intake.wait_for_submitted(3).await;
    assert_eq!(intake.submitted_ids()[2], "small");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_topic_that_is_deleted_is_declared_again() {
    let topic = Topic::create("vanishing", 1).await;
    let tier = "vanishing.orders.retry.1s";
    let intake = delaying(|_| SECOND);
    let running = Running::start(topic.options(), &intake);
    eventually("the topic is there", async || {
        written(topic.broker, tier).await == Some(0)
    })
    .await;
    delete(topic.broker, tier).await;
    topic.publish_many(0, 0..20).await;
    intake.wait_for_submitted(40).await;
    topic.until_committed(0, 20).await;
    assert_eq!(written(topic.broker, tier).await, Some(20));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_topic_that_is_deleted_when_much_has_gone_through_it_loses_nothing_later() {
    let topic = Topic::create("remade", 1).await;
    let tier = "remade.orders.retry.1s";
    topic.publish_many(0, 0..30).await;
    let intake = delaying(|_| SECOND / 2);
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(60).await;
    topic.until_committed(0, 30).await;
    delete(topic.broker, tier).await;
    // Fewer than before, so that their offsets are below the one read.
    topic.publish_many(0, 30..40).await;
    intake.wait_for_submitted(80).await;
    topic.until_committed(0, 40).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_it_may_not_create_are_named_and_delayed_actions_wait_for_them() {
    let topic = Topic::create("unmade", 1).await;
    // A broker refuses a name that differs from an existing one only in dots and underscores.
    let in_the_way = "unmade_orders_retry_1s";
    create_with(topic.broker, in_the_way, &[]).await;
    let intake = delaying(|_| SECOND);
    let running = Running::start(topic.options(), &intake);
    topic.publish(0, "a").await;
    let expected = "topics to create, because it may not create them: unmade.orders.retry.1s";
    eventually("the topic is named", async || {
        running.readiness().detail.as_deref() == Some(expected)
    })
    .await;
    intake.wait_for_submitted(1).await;
    assert_eq!(topic.committed(0).await, Some(0), "it waits");
    delete(topic.broker, in_the_way).await;
    intake.wait_for_submitted(2).await;
    topic.until_committed(0, 1).await;
    running.until_ready().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tried_is_remembered_on_the_way_through_the_topic() {
    let topic = Topic::create("remembered", 1).await;
    topic.publish(0, "a").await;
    let intake = FakeIntake::holding();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(1).await;
    let mut delivery = intake.take_held().remove(0);
    let mut history = History::beginning(Timestamp::from_second(1_000).unwrap());
    history.redeliveries = 3;
    history.push(AttemptRecord {
        at: Timestamp::from_second(1_001).unwrap(),
        provider: "p".into(),
        status: Some(503),
        code: Some(FailureCode::ExecutionFailed),
        duration_ms: 12,
        excerpt: Some("we are \"closed\"".into()),
    });
    delivery.history = Some(Box::new(history.clone()));
    delivery.later(SECOND, Delay::Redelivery);
    intake.wait_for_submitted(2).await;
    let again = intake.submitted().remove(1);
    assert_eq!(again.history.as_deref(), Some(&history));
    intake.take_held().into_iter().for_each(|d| d.done(done()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_loses_nothing() {
    let topic = Topic::create("crashing", 3).await;
    for partition in 0..3 {
        let first = 100 * u32::try_from(partition).unwrap();
        topic.publish_many(partition, first..first + 100).await;
    }
    let ended = Arc::new(parking_lot::Mutex::new(BTreeSet::new()));
    let intake = || {
        let ended = ended.clone();
        let seen = parking_lot::Mutex::new(BTreeSet::new());
        FakeIntake::settling(move |envelope| {
            let id = envelope.action.id.clone();
            match seen.lock().insert(id.clone()) {
                true => End::Later(SECOND / 2, Delay::Throttled),
                false => {
                    ended.lock().insert(id);
                    End::Done(done())
                }
            }
        })
    };
    for some in [1, 80, 170] {
        let source = Running::start(topic.options(), &intake());
        eventually("some have ended", async || ended.lock().len() >= some).await;
        source.crash().await;
    }
    let source = Running::start(topic.options(), &intake());
    eventually("all have ended", async || ended.lock().len() == 300).await;
    source.stop().await;
}
