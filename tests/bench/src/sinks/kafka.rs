//! Records of a Kafka topic.

use acteon_services::Kafka;
use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, Producer};
use tokio::task::spawn_blocking;

use super::{Destination, PARTITIONS, TIMEOUT, action};
use crate::topic::queue;

impl Destination for Kafka {
    const NAME: &'static str = "kafka";

    async fn create(&self, place: &str) -> anyhow::Result<()> {
        self.create_topic(place, PARTITIONS).await
    }

    async fn produce(&self, place: &str, count: u64) -> anyhow::Result<()> {
        let mut config: ClientConfig = self.client();
        let producer: BaseProducer = config
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.kbytes", "65536")
            .create()?;
        let topic = place.to_owned();
        let produced = spawn_blocking(move || {
            for number in 0..count {
                queue(&producer, &topic, number, &action(number))?;
            }
            producer.flush(TIMEOUT)?;
            anyhow::Ok(())
        });
        produced.await?
    }

    fn provider(&self, place: &str) -> String {
        let brokers = self.bootstrap();
        format!("type = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{place}\"")
    }

    async fn ids(&self, place: &str, count: u64) -> anyhow::Result<Vec<String>> {
        let mut config = self.client();
        let consumer: BaseConsumer = config
            .set("group.id", format!("far-end-of-{place}"))
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "false")
            .create()?;
        consumer.subscribe(&[place])?;
        let read = spawn_blocking(move || {
            // The server has counted all of them, so none is missing for long.
            let records = consumer.iter().take(count as usize);
            let ids = records.map(|record| {
                let record = record?;
                let headers = record.headers().context("a record without headers")?;
                let id = headers
                    .iter()
                    .find(|header| header.key == "acteon-action-id");
                let id = id.and_then(|header| std::str::from_utf8(header.value?).ok());
                Ok(id.context("a record without its id")?.to_owned())
            });
            ids.collect()
        });
        read.await?
    }
}
