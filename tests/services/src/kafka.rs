//! One Kafka node (KRaft, broker and controller in one) on 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

mod secured;

use self::secured::Listeners;
pub use self::secured::{Listener, Secured};
use crate::java;
use crate::process::{Process, free_ports};

const ARCHIVES: &[java::Coordinates] = &[
    "org.apache.kafka:kafka_2.13:4.1.1",
    "org.apache.kafka:kafka-tools:4.1.1",
    "org.slf4j:slf4j-simple:1.7.36",
];
const BROKER_FLAGS: &[&str] = &["-Xmx768m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];
const CLUSTER_ID: &str = "acteon-tests-cluster01";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A running broker. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Kafka {
    archives: PathBuf,
    folder: PathBuf,
    bootstrap: String,
    process: Mutex<Option<Process>>,
}

impl Kafka {
    /// The folder of archives, downloaded if missing.
    pub async fn fetch() -> anyhow::Result<PathBuf> {
        spawn_blocking(|| java::archives("kafka-4.1.1", ARCHIVES)).await?
    }

    /// The broker shared by this test binary. It ends with the process.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Kafka> = OnceCell::const_new();
        let started = SHARED.get_or_try_init(Self::start).await;
        started.unwrap_or_else(|error| panic!("tests need a Kafka broker: {error:#}"))
    }

    /// Starts a separate broker.
    pub async fn start() -> anyhow::Result<Self> {
        let plain = |_: &Path, _| Ok(Listeners::default());
        Ok(Self::start_with(plain).await?.0)
    }

    /// Starts a broker with additional listeners, which `make` creates from the broker's folder and these ports.
    async fn start_with(
        make: impl FnOnce(&Path, [u16; Listener::ALL.len()]) -> anyhow::Result<Listeners>,
    ) -> anyhow::Result<(Self, Listeners)> {
        let archives = Self::fetch().await?;
        let folder = tempfile::Builder::new().prefix("acteon-kafka").tempdir()?;
        let [port, controller, others @ ..] = free_ports::<{ 2 + Listener::ALL.len() }>()?;
        let listeners = make(folder.path(), others)?;
        fs::write(
            folder.path().join("server.properties"),
            properties(port, controller, folder.path(), &listeners),
        )?;
        let mut format = java::class(&archives, java::SHORT_LIVED, "kafka.tools.StorageTool");
        format.args(["format", "--standalone", "-t", CLUSTER_ID, "-c"]);
        format.arg(folder.path().join("server.properties"));
        format.args(listeners.format_arguments());
        spawn_blocking(move || java::run(&mut format)).await??;
        let kafka = Self {
            archives,
            folder: folder.keep(),
            bootstrap: format!("127.0.0.1:{port}"),
            process: Mutex::new(None),
        };
        kafka.restart().await?;
        Ok((kafka, listeners))
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A client configuration for this broker, without further settings.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        config
    }

    /// Kills the broker. Its port and data are kept for [`Kafka::restart`].
    pub async fn stop(&self) -> anyhow::Result<()> {
        let running = self.slot().take();
        match running {
            Some(process) => spawn_blocking(|| process.kill()).await?,
            None => Ok(()),
        }
    }

    /// Starts the broker again on the same port and data; stops it first if it is running.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await?;
        let mut server = java::class(&self.archives, BROKER_FLAGS, "kafka.Kafka");
        server.arg(self.folder.join("server.properties"));
        let mut process = Process::start(&server, &self.folder)?;
        process
            .until_ready(START_TIMEOUT, async || self.answers().await)
            .await?;
        *self.slot() = Some(process);
        Ok(())
    }

    /// Creates a topic.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT));
        for result in admin.create_topics([&topic], &options).await? {
            if let Err((topic, code)) = result {
                bail!("cannot create topic {topic}: {code}");
            }
        }
        Ok(())
    }

    /// The number of records that `group` has not committed, in all topics for which it has committed anything.
    pub async fn lag(&self, group: &str) -> anyhow::Result<u64> {
        let mut config = self.client();
        config.set("group.id", group);
        spawn_blocking(move || {
            let consumer: BaseConsumer = config.create()?;
            let mut lag = 0;
            for topic in topics(&consumer)? {
                let committed = committed(&consumer, &topic)?;
                if committed.iter().any(|(_, offset)| offset.is_some()) {
                    lag += lag_of(&consumer, &topic, &committed)?;
                }
            }
            Ok(lag)
        })
        .await?
    }

    /// The offsets that `group` has committed for each partition of `topic`: the next ones to read.
    pub async fn committed(
        &self,
        group: &str,
        topic: &str,
    ) -> anyhow::Result<Vec<(i32, Option<i64>)>> {
        let mut config = self.client();
        config.set("group.id", group);
        let topic = topic.to_owned();
        spawn_blocking(move || committed(&config.create()?, &topic)).await?
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn answers(&self) -> bool {
        let config = self.client();
        let asked = spawn_blocking(move || {
            let consumer: BaseConsumer = config.create().ok()?;
            let metadata = consumer.fetch_metadata(None, Duration::from_secs(1)).ok()?;
            metadata.brokers().first().map(|_| ())
        });
        matches!(asked.await, Ok(Some(())))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let running = self.slot().take();
        if running.is_none() {
            // It was stopped before, so no supervising shell removes the data.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

fn topics(consumer: &BaseConsumer) -> anyhow::Result<Vec<String>> {
    let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
    let names = metadata
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned());
    Ok(names.filter(|name| !name.starts_with("__")).collect())
}

fn committed(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<(i32, Option<i64>)>> {
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
    let found = metadata.topics().first().context("the topic is unknown")?;
    let mut wanted = TopicPartitionList::new();
    for partition in found.partitions() {
        wanted.add_partition(topic, partition.id());
    }
    ensure!(wanted.count() > 0, "there is no topic {topic}");
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    let committed = loop {
        match consumer.committed_offsets(wanted.clone(), REQUEST_TIMEOUT) {
            // A new broker has no coordinator until the offsets topic is created for the first group.
            Err(error) if lacks_coordinator(&error) && Instant::now() < deadline => {
                consumer.poll(Duration::from_millis(100));
            }
            asked => break asked?,
        }
    };
    let offsets = committed.elements().into_iter().map(|place| {
        let offset = match place.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        };
        (place.partition(), offset)
    });
    Ok(offsets.collect())
}

fn lacks_coordinator(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator)
    )
}

fn lag_of(
    consumer: &BaseConsumer,
    topic: &str,
    committed: &[(i32, Option<i64>)],
) -> anyhow::Result<u64> {
    let mut lag = 0;
    for &(partition, offset) in committed {
        let (low, high) = consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT)?;
        lag += u64::try_from(high - offset.unwrap_or(low)).unwrap_or(0);
    }
    Ok(lag)
}

fn properties(port: u16, controller: u16, folder: &Path, others: &Listeners) -> String {
    let data = folder.join("data");
    let addresses = others.addresses();
    let protocols = others.protocols();
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{addresses}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{addresses}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n\
         {}",
        data.display(),
        others.properties(folder),
    )
}

#[cfg(test)]
mod tests;
