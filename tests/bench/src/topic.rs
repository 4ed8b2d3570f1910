//! A topic of a real broker, to which a bench offers actions as fast as possible or at a steady rate.

use std::time::Duration;

use acteon_services::Kafka;
use anyhow::{bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::time::{Instant, MissedTickBehavior, interval};

const PARTITIONS: i32 = 6;
const RECORD_BYTES_MAX: &str = "4000000";
/// How often due actions are offered.
const TICK: Duration = Duration::from_millis(10);

/// A separate topic, and a producer for it.
pub(crate) struct Topic {
    name: String,
    producer: BaseProducer,
}

impl Topic {
    /// A new topic that accepts records of up to 4 MB.
    pub(crate) async fn create(kafka: &Kafka) -> anyhow::Result<Self> {
        let name = format!("bench-{}", uuid::Uuid::now_v7());
        let admin: AdminClient<DefaultClientContext> = kafka.client().create()?;
        let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1))
            .set("max.message.bytes", RECORD_BYTES_MAX);
        for result in admin.create_topics([&topic], &AdminOptions::new()).await? {
            if let Err((topic, code)) = result {
                bail!("cannot create topic {topic}: {code}");
            }
        }
        let mut config = kafka.client();
        config.set("linger.ms", "5");
        config.set("message.max.bytes", RECORD_BYTES_MAX);
        config.set("queue.buffering.max.kbytes", "65536");
        Ok(Self {
            name,
            producer: config.create()?,
        })
    }

    /// The consumer group of a server with [`Topic::source`].
    pub(crate) fn group(&self) -> String {
        format!("{}-group", self.name)
    }

    /// The configuration of a source that reads it, with the defaults.
    pub(crate) fn source(&self, kafka: &Kafka) -> String {
        format!(
            "[[sources]]\nname = \"bench\"\ntype = \"kafka\"\nbrokers = \"{}\"\ntopics = [\"{}\"]\ngroup_id = \"{}\"\n\n",
            kafka.bootstrap(),
            self.name,
            self.group(),
        )
    }

    /// Queues a record; waits while the queue is full.
    pub(crate) fn send(&self, number: u64, value: &[u8]) -> anyhow::Result<()> {
        queue(&self.producer, &self.name, number, value)
    }

    /// Waits until the broker has all records.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        Ok(self.producer.flush(Duration::from_secs(120))?)
    }

    /// Offers `rate` actions a second for this long, regardless of their outcome.
    pub(crate) async fn offer(
        &self,
        rate: f64,
        lasting: Duration,
        mut next: impl FnMut() -> (u64, Vec<u8>),
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut sent = 0.0;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let total = rate * lasting.as_secs_f64();
        while sent < total {
            ticks.tick().await;
            let due = (start.elapsed().as_secs_f64() * rate).min(total);
            while sent < due {
                let (number, value) = next();
                self.send(number, &value)?;
                sent += 1.0;
            }
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }
}

/// Queues a record; waits while the producer's queue is full.
pub(crate) fn queue(
    producer: &BaseProducer,
    topic: &str,
    number: u64,
    value: &[u8],
) -> anyhow::Result<()> {
    let key = number.to_string();
    let mut record = BaseRecord::to(topic).key(&key).payload(value);
    while let Err((error, refused)) = producer.send(record) {
        let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        ensure!(error == full, "producing: {error}");
        producer.poll(Duration::from_millis(10));
        record = refused;
    }
    Ok(())
}
