//! Runs the examples of the guide about Kafka as a provider, and a stream from one topic to another.

use acteon_services::Kafka;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use tokio::task::spawn_blocking;

use super::readme::marked;
use crate::harness::{Producer, Server};

const PAGE: &str = "docs/guide/kafka-provider.md";

/// The values of the first records of a topic, in any order.
async fn values(kafka: &Kafka, topic: &'static str, count: usize) -> Vec<serde_json::Value> {
    let mut config = kafka.client();
    config
        .set("group.id", format!("readers-of-{topic}"))
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let read = spawn_blocking(move || {
        // An iterator also waits after the client was busy with something else.
        let records = consumer.iter().take(count);
        let value = |record: BorrowedMessage<'_>| {
            serde_json::from_slice(record.payload().unwrap()).unwrap()
        };
        records.map(|record| value(record.unwrap())).collect()
    });
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_publishes_a_record() {
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("orders.eu", 6).await.unwrap();
    let config = marked(PAGE, "configuration").text;
    let config = config.replace("localhost:9092", kafka.bootstrap());
    let server = Server::start(&config, &[]).await;
    let folder = server.rules().parent().unwrap().to_owned();
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let expected = "provider `orders-eu`: 1 broker answers, and the topic exists";
    assert!(said.lines().any(|line| line == expected), "{said}");
    let url = server.url("");
    let replaced = [("http://127.0.0.1:8080", url.as_str())];
    marked(PAGE, "publish").run(&folder, &replaced).await;
    let records = values(&kafka, "orders.eu", 1).await;
    assert_eq!(records[0]["order"], 4711);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_of_one_topic_become_records_of_another() {
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("leaving", 3).await.unwrap();
    let producer = Producer::to_new_topic(&kafka, 3).await;
    let (brokers, arriving) = (kafka.bootstrap(), producer.topic());
    let config = format!(
        r#"
[[sources]]
name = "orders"
type = "kafka"
brokers = "{brokers}"
topics = ["{arriving}"]
group_id = "acteon"

[[providers]]
name = "leaving"
type = "kafka"
brokers = "{brokers}"
topic = "leaving"
key = "payload.to"
body = "payload"
max_concurrent = 1000
"#
    );
    for number in 0..2000 {
        let action = super::action(number, "leaving");
        producer.send(&number.to_string(), action.to_string().as_bytes());
    }
    producer.flush();
    let _server = Server::start(&config, &[]).await;
    let records = values(&kafka, "leaving", 2000).await;
    let mut orders: Vec<_> = records
        .iter()
        .map(|value| value["order"].as_u64().unwrap())
        .collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 2000);
}
