//! Against a real broker, with a pipeline that each test scripts. Conditions are polled, never slept for.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::Defaults;
use acteon_core::health::Part;
use acteon_core::source::SourceContext;
use acteon_core::{ActionOutcome, Admission, Clock, Intake, Shutdown, Source, ThrottledPolicy};
use acteon_services::Kafka as Broker;
use acteon_testkit::FakeIntake;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::{KafkaConfig, KafkaSource};

mod commits;
mod delayed;
mod offsets;
mod options;
mod ordered;
mod outage;
mod pressure;
mod readiness;
mod reading;
mod rebalance;
mod republishing;
mod security;

/// How long a condition may take. The slowest, for a topic recreated under another leader, takes 40 s on two idle
/// cores.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Polls until the condition holds; panics after [`WAIT_MAX`].
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !condition().await {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A separate topic, named like the group that reads it.
struct Topic<'a> {
    broker: &'a Broker,
    name: &'static str,
    producer: FutureProducer,
}

impl Topic<'static> {
    async fn create(name: &'static str, partitions: i32) -> Self {
        Self::create_on(Broker::shared().await, name, partitions).await
    }
}

impl<'a> Topic<'a> {
    async fn create_on(broker: &'a Broker, name: &'static str, partitions: i32) -> Self {
        broker.create_topic(name, partitions).await.unwrap();
        let producer = broker.client().create().unwrap();
        Self {
            broker,
            name,
            producer,
        }
    }

    fn options(&self) -> KafkaConfig {
        options(self.broker.bootstrap(), self.name)
    }

    /// Publishes an action with this id to a partition.
    async fn publish(&self, partition: i32, id: &str) {
        self.publish_as(partition, "key", action(id).as_bytes(), OwnedHeaders::new())
            .await;
    }

    /// Publishes actions with these ids.
    async fn publish_many(&self, partition: i32, ids: std::ops::Range<u32>) {
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        let sent = ids.iter().map(|id| self.publish(partition, id));
        futures_util::future::join_all(sent).await;
    }

    async fn publish_as(&self, partition: i32, key: &str, value: &[u8], headers: OwnedHeaders) {
        let record = FutureRecord::to(self.name)
            .partition(partition)
            .key(key)
            .payload(value)
            .headers(headers);
        self.producer.send(record, WAIT_MAX).await.unwrap();
    }

    /// The offset at which the group would continue in this partition.
    async fn committed(&self, partition: usize) -> Option<i64> {
        let committed = self.broker.committed(self.name, self.name).await.unwrap();
        committed[partition].1
    }

    /// The metadata committed with the offset of this partition.
    fn committed_metadata(&self, partition: i32) -> String {
        let mut config = self.broker.client();
        let consumer: BaseConsumer = config.set("group.id", self.name).create().unwrap();
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(self.name, partition);
        let committed = consumer.committed_offsets(wanted, WAIT_MAX).unwrap();
        committed.elements()[0].metadata().to_owned()
    }

    async fn until_committed(&self, partition: usize, offset: i64) {
        let what = format!(
            "{offset} is committed in partition {partition} of {}",
            self.name
        );
        let is_there = async || self.committed(partition).await == Some(offset);
        eventually(&what, is_there).await;
    }
}

fn options(brokers: &str, topic: &str) -> KafkaConfig {
    let options = serde_json::json!({
        "brokers": brokers,
        "topics": [topic],
        "group_id": topic,
        "client": {"session.timeout.ms": "9000"},
    });
    serde_json::from_value(options).unwrap()
}

fn action(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":{{}}}}"#
    )
}

fn done() -> ActionOutcome {
    ActionOutcome::Deduplicated(())
}

fn context(intake: &Arc<FakeIntake>) -> SourceContext {
    SourceContext {
        name: "orders".into(),
        defaults: Defaults::default(),
        throttled: ThrottledPolicy::Retry,
        max_in_flight: None,
        prefetch_bytes: 16 << 20,
        max_batch: 256,
        intake: intake.clone() as Arc<dyn Intake>,
        admission: Admission::new(10_000, 64 << 20),
        clock: Clock::system(),
    }
}

/// A running source.
struct Running {
    source: Arc<KafkaSource>,
    admission: Arc<Admission>,
    shutdown: Shutdown,
    task: JoinSet<()>,
}

impl Running {
    fn readiness(&self) -> Part {
        self.source.readiness()
    }

    fn start(options: KafkaConfig, intake: &Arc<FakeIntake>) -> Self {
        Self::start_with(options, intake, |_| {})
    }

    fn start_with(
        options: KafkaConfig,
        intake: &Arc<FakeIntake>,
        change: impl FnOnce(&mut SourceContext),
    ) -> Self {
        let mut context = context(intake);
        change(&mut context);
        let admission = context.admission.clone();
        let source = Arc::new(KafkaSource::new(options, context).unwrap());
        let shutdown = Shutdown::default();
        let mut task = JoinSet::new();
        let running = source.clone();
        let signal = shutdown.clone();
        task.spawn(async move { running.run(signal).await.unwrap() });
        Self {
            source,
            admission,
            shutdown,
            task,
        }
    }

    /// Stops in order, after everything in flight is settled.
    async fn stop(mut self) {
        self.shutdown.stop.cancel();
        self.end().await;
    }

    /// Ends at once, regardless of actions in flight.
    async fn abandon(mut self) {
        self.shutdown.abandon.cancel();
        self.end().await;
    }

    /// Ends like a crash: nothing more is committed.
    async fn crash(mut self) {
        self.task.abort_all();
        while self.task.join_next().await.is_some() {}
    }

    async fn end(&mut self) {
        while let Some(ended) = self.task.join_next().await {
            ended.unwrap();
        }
    }

    async fn until_ready(&self) {
        eventually("the source is ready", async || self.readiness().ready).await;
    }
}
