//! A plain Kafka producer, independent of Acteon.

use std::time::Duration;

use acteon_services::Kafka;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes records to one topic.
pub(crate) struct Producer {
    producer: BaseProducer,
    topic: String,
}

impl Producer {
    /// Creates a topic with this many partitions, and a producer for it.
    pub(crate) async fn to_new_topic(kafka: &Kafka, partitions: i32) -> Self {
        let topic = format!("actions-{}", uuid::Uuid::now_v7());
        kafka.create_topic(&topic, partitions).await.unwrap();
        let mut config = kafka.client();
        config.set("linger.ms", "20");
        Self {
            producer: config.create().unwrap(),
            topic,
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// How many records were ever written to a topic, by any producer.
    pub(crate) fn written(&self, topic: &str) -> i64 {
        let client = self.producer.client();
        let metadata = client.fetch_metadata(Some(topic), TIMEOUT).unwrap();
        let partitions = metadata.topics()[0].partitions().iter();
        let ends = partitions.map(|partition| {
            let ends = client.fetch_watermarks(topic, partition.id(), TIMEOUT);
            ends.unwrap().1
        });
        ends.sum()
    }

    /// Queues a record; waits while the queue is full.
    pub(crate) fn send(&self, key: &str, value: &[u8]) {
        let mut record = BaseRecord::to(&self.topic).key(key).payload(value);
        while let Err((error, refused)) = self.producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full);
            self.producer.poll(Duration::from_millis(10));
            record = refused;
        }
    }

    /// Runs the client's due work, without waiting.
    pub(crate) fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until the broker has all records.
    pub(crate) fn flush(&self) {
        self.producer.flush(TIMEOUT).unwrap();
    }
}
