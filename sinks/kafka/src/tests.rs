//! Against a real broker.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::Sink;
use acteon_services::Kafka as Broker;
use acteon_testkit::contract::broker::{build, carrying, deliver, with};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, OwnedMessage};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::KafkaSinkFactory;

mod failures;
mod options;
mod records;

const WAIT_MAX: Duration = Duration::from_secs(60);

/// A sink with these options and this time limit.
async fn built(options: Value, timeout: Duration) -> Result<Arc<dyn Sink>, String> {
    build(KafkaSinkFactory, options, timeout).await
}

async fn sink(options: Value) -> Arc<dyn Sink> {
    built(options, WAIT_MAX).await.unwrap()
}

/// A new topic of the shared broker, and the options of a sink for it.
async fn topic(name: &str, partitions: i32) -> Value {
    let broker = Broker::shared().await;
    broker.create_topic(name, partitions).await.unwrap();
    json!({"brokers": broker.bootstrap(), "topic": name})
}

/// The first `count` records of a partition.
async fn records(topic: &str, partition: i32, count: usize) -> Vec<OwnedMessage> {
    let mut config = Broker::shared().await.client();
    config
        .set("group.id", "tests")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut wanted = TopicPartitionList::new();
    wanted
        .add_partition_offset(topic, partition, Offset::Beginning)
        .unwrap();
    consumer.assign(&wanted).unwrap();
    let read = spawn_blocking(move || {
        let polled = (0..count).map(|_| consumer.poll(WAIT_MAX).unwrap().unwrap().detach());
        polled.collect()
    });
    read.await.unwrap()
}

fn header(record: &OwnedMessage, name: &str) -> Option<String> {
    let all = record.headers()?;
    let found = all.iter().find(|header| header.key == name)?;
    Some(String::from_utf8(found.value?.to_vec()).unwrap())
}
