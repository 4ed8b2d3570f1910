//! A plain producer that knows nothing of Acteon.

use std::time::Duration;

use acteon_services::Kafka;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes records to one topic.
pub(crate) struct Producer {
    producer: BaseProducer,
    topic: String,
}

impl Producer {
    /// A producer to a topic of its own, made with so many partitions.
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

    /// How many records were ever written to a topic, whoever did.
    pub(crate) fn written(&self, topic: &str) -> i64 {
        let client = self.producer.client();
        let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let partitions = metadata.topics()[0].partitions().iter();
        let ends = partitions.map(|partition| {
            let ends = client.fetch_watermarks(topic, partition.id(), PATIENCE);
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

    /// Lets the client do what is due, without waiting.
    pub(crate) fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until the broker has all.
    pub(crate) fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}
