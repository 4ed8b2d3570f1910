//! The options of the source, and the client properties they become.

use std::time::Duration;

use acteon_connect_kafka::{KafkaConnection, check_topic};
use acteon_core::{BuildError, Faults};
use acteon_ingest_kit::{Codec, OrderingKey};
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::member::{ConsumerMember, Prefetch};
use crate::own_topics;

/// A `[[sources]]` of `type = "kafka"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// The topics to read.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub topics: Vec<String>,
    /// The consumer group that shares the partitions and stores the committed offsets.
    #[schemars(length(min = 1))]
    pub group_id: String,
    /// Where a group starts that has never committed.
    #[serde(default)]
    pub start: Start,
    /// The encoding of the records.
    #[serde(default)]
    pub codec: Codec,
    /// How many group members this process runs, at most 16. Each has its own connection and partitions, and keeps
    /// about one core busy.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 16))]
    pub consumers: u32,
    /// Deliver the actions of one record key one after another.
    #[serde(default)]
    pub ordered: bool,
    /// Fields that give the order of an action whose record has no key: paths such as `payload.customer`.
    #[serde(default)]
    pub ordering_key: Vec<String>,
    /// Name prefix of the topics where delayed actions wait. The suffixes `.1s`, `.10s`, `.1m`, `.10m` and `.1h` give
    /// the longest wait in each topic. Default: `<group_id>.<name>.retry`. Created when absent.
    #[serde(default)]
    pub retry_topic: Option<String>,
    /// The topic where dead letters are published in addition to being stored. Created when absent.
    #[serde(default)]
    pub dead_letter_topic: Option<String>,
    /// How to connect.
    #[serde(flatten)]
    pub connection: KafkaConnection,
}

fn one() -> u32 {
    1
}

/// Where a group starts that has never committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the oldest record: nothing is lost.
    #[default]
    Earliest,
    /// At the next record to arrive.
    Latest,
}

/// How long a member may be silent before its group removes it, unless `client` sets another value. The partitions of a
/// killed process have no reader for this long.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const SESSION_TIMEOUT_KEY: &str = "session.timeout.ms";
const INSTANCE_KEY: &str = "group.instance.id";
const EMPTY: &str = "must not be empty";
/// Each opens a connection to every broker and runs several threads.
const CONSUMERS_MAX: u32 = 16;

/// Client properties that the source controls, and what to set instead.
const OWNED: &[(&str, &str)] = &[
    ("group.id", "set `group_id`"),
    ("auto.offset.reset", "set `start`"),
    (
        "enable.auto.commit",
        "the source commits settled records itself",
    ),
    (
        "enable.auto.offset.store",
        "the source commits settled records itself",
    ),
    (
        "auto.commit.interval.ms",
        "the source commits settled records itself",
    ),
    ("enable.partition.eof", "the source does not use it"),
    (
        "group.protocol",
        "the source needs the classic protocol to drain partitions",
    ),
    (
        "statistics.interval.ms",
        "lag and readiness are read from the statistics",
    ),
    (
        "allow.auto.create.topics",
        "reading a topic does not create it",
    ),
    (
        "queued.max.messages.kbytes",
        "set `pipeline.max_in_flight_bytes`",
    ),
    ("queued.min.messages", "set `pipeline.max_in_flight_bytes`"),
    ("fetch.max.bytes", "set `pipeline.max_in_flight_bytes`"),
];

impl KafkaConfig {
    /// The name prefix of the delayed path topics of the source `name`.
    pub fn retry_topic(&self, name: &str) -> String {
        let chosen = self.retry_topic.clone();
        chosen.unwrap_or_else(|| self.retry_group(name))
    }

    /// Where `member` starts if its group has never committed.
    pub(crate) fn start_of(&self, member: ConsumerMember) -> Start {
        match member {
            ConsumerMember::OfTopics(_) => self.start,
            // Waiting records were read once already, wherever the group started.
            ConsumerMember::OfRetries => Start::Earliest,
        }
    }

    fn retry_group(&self, name: &str) -> String {
        format!("{}.{name}.retry", self.group_id)
    }

    fn group(&self, name: &str, member: ConsumerMember) -> String {
        match member {
            ConsumerMember::OfTopics(_) => self.group_id.clone(),
            ConsumerMember::OfRetries => self.retry_group(name),
        }
    }

    /// The part of the session timeout that may pass while partitions drain.
    pub fn drain_timeout(&self) -> Duration {
        let set = self.connection.client.get(SESSION_TIMEOUT_KEY);
        let millis = set.and_then(|text| text.expose().parse().ok());
        millis.map_or(SESSION_TIMEOUT, Duration::from_millis) / 3
    }

    /// Checks everything about the source `name` that can be checked without a broker.
    ///
    /// # Errors
    /// All options that cannot work.
    pub(crate) fn check(&self, name: &str) -> Result<(), BuildError> {
        let mut faults = Faults::default();
        faults.keep(self.connection.check_brokers());
        if self.group_id.trim().is_empty() {
            faults.keep::<()>(Err(BuildError::at("group_id", EMPTY)));
        }
        if !(1..=CONSUMERS_MAX).contains(&self.consumers) {
            let message = format!("must be from 1 to {CONSUMERS_MAX}, not {}", self.consumers);
            faults.keep::<()>(Err(BuildError::at("consumers", message)));
        }
        faults.keep(self.ordering_key());
        if faults.keep(self.check_topics()).is_some() {
            faults.keep(self.check_own_topics(name));
        }
        faults.keep(self.check_client());
        faults.end(Some(()))
    }

    /// The paths that order actions whose record has no key.
    pub(crate) fn ordering_key(&self) -> Result<OrderingKey, BuildError> {
        let read = OrderingKey::of(&self.ordering_key);
        read.map_err(|error| BuildError::at("ordering_key", error.to_string()))
    }

    fn check_topics(&self) -> Result<(), BuildError> {
        if self.topics.is_empty() {
            return Err(BuildError::at("topics", EMPTY));
        }
        for (at, topic) in self.topics.iter().enumerate() {
            let wrong = |message| Err(BuildError::at(format!("topics[{at}]"), message));
            if topic.trim().is_empty() {
                return wrong(EMPTY.to_owned());
            }
            if topic.starts_with('^') {
                return wrong(format!("`{topic}` is a pattern; list topic names instead"));
            }
            if self.topics[..at].contains(topic) {
                return wrong(format!("`{topic}` is named twice"));
            }
            check_topic(topic).or_else(wrong)?;
        }
        Ok(())
    }

    /// Checks the topics that the source `name` writes to.
    fn check_own_topics(&self, name: &str) -> Result<(), BuildError> {
        let mut used = self.topics.clone();
        for (option, topic) in self.own_topics(name) {
            check_topic(&topic).map_err(|message| BuildError::at(option, message))?;
            if used.contains(&topic) {
                let message = format!("this source already uses `{topic}`");
                return Err(BuildError::at(option, message));
            }
            used.push(topic);
        }
        Ok(())
    }

    /// The topics that the source `name` writes to, and the option that names each. An `ordered` source has no retry
    /// topics: it keeps waiting actions at the head of their lanes.
    pub(crate) fn own_topics(&self, name: &str) -> Vec<(&'static str, String)> {
        let mut own = Vec::new();
        if !self.ordered {
            let retry = self.retry_topic(name);
            own.extend(own_topics::names(&retry).map(|topic| ("retry_topic", topic)));
        }
        let letters = self.dead_letter_topic.iter();
        own.extend(letters.map(|topic| ("dead_letter_topic", topic.clone())));
        own
    }

    fn check_client(&self) -> Result<(), BuildError> {
        self.connection.check_properties(OWNED)?;
        let member = ConsumerMember::OfTopics(0);
        let reading = self.consumer("check", member, Prefetch::of(0, 1));
        self.connection.check_consumer(reading)?;
        self.connection.check_producer(self.producer("check"))
    }

    /// The client properties for reading as `member`.
    pub(crate) fn consumer(
        &self,
        name: &str,
        member: ConsumerMember,
        prefetch: Prefetch,
    ) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", format!("acteon-{name}"))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set(SESSION_TIMEOUT_KEY, SESSION_TIMEOUT.as_millis().to_string())
            .set("topic.metadata.refresh.interval.ms", "30000")
            // Members learn of a rebalance by heartbeat. A partition that moves has no reader until the second of two
            // heartbeats, by default for three seconds.
            .set("heartbeat.interval.ms", "500")
            // With the default of a second, reading stalls each time the prefetch was full.
            .set("fetch.queue.backoff.ms", "10")
            // A broker gets one request at a time for all partitions. A request that covers only empty partitions keeps
            // the others waiting, by default for half a second.
            .set("fetch.wait.max.ms", "100");
        self.connection.apply(&mut config);
        if let ConsumerMember::OfTopics(number @ 1..) = member
            && let Some(instance) = config.get(INSTANCE_KEY)
        {
            // Two members of a group with the same instance name would keep evicting each other.
            let instance = format!("{instance}-{number}");
            config.set(INSTANCE_KEY, instance);
        }
        config
            .set("group.id", self.group(name, member))
            // The start is looked up first. If the client does not find an offset, it must not skip records.
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("allow.auto.create.topics", "false")
            .set("statistics.interval.ms", "2000")
            .set("queued.min.messages", "10000")
            .set(
                "queued.max.messages.kbytes",
                prefetch.queued_kib().to_string(),
            )
            .set("fetch.max.bytes", prefetch.response_bytes().to_string());
        config
    }

    /// The client properties for publishing to the retry topics and the dead letter topic.
    pub(crate) fn producer(&self, name: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", format!("acteon-{name}"));
        self.connection.apply(&mut config);
        config
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "10000")
            // The broker decides which records are too large for it.
            .set("message.max.bytes", "1000000000")
            .set("queue.buffering.max.kbytes", "1048576");
        config
    }
}
