//! The options of the `kafka` sink, and the client properties they become.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_connect_kafka::{KafkaConnection, check_topic};
use acteon_core::action_path::ActionPath;
use acteon_core::sink::SinkContext;
use acteon_core::{BuildError, Faults, Secret};
use acteon_sinks_kit::{MessageFormat, check_broker_headers};
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::record::ATTRIBUTE_PREFIX;

/// The options of a `kafka` provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSinkConfig {
    /// The topic to publish to.
    #[schemars(length(min = 1))]
    pub topic: String,
    /// The path in the action to the key of its record, such as `payload.customer`. Without one, or if nothing is
    /// there, the record has no key.
    #[serde(default)]
    pub key: Option<String>,
    /// The value of the record.
    #[serde(default)]
    pub body: MessageFormat,
    /// Additional headers. Values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How to connect.
    #[serde(flatten)]
    pub connection: KafkaConnection,
}

/// Client properties that the sink controls, and what to set instead.
const OWNED: &[(&str, &str)] = &[
    ("message.timeout.ms", TIMEOUT),
    ("delivery.timeout.ms", TIMEOUT),
    ("statistics.interval.ms", "they are not used"),
];
const TIMEOUT: &str = "set `timeout_seconds` of the provider";

impl KafkaSinkConfig {
    /// Checks everything that can be checked without a broker. Returns the path to the key.
    ///
    /// # Errors
    /// All options that cannot work.
    pub(crate) fn check(&self, context: &SinkContext) -> Result<Option<ActionPath>, BuildError> {
        let mut faults = Faults::default();
        faults.keep(self.connection.check_brokers());
        faults.keep(check_topic(&self.topic).map_err(|message| BuildError::at("topic", message)));
        let key = self.key.as_deref().map(ActionPath::parse).transpose();
        let key = faults.keep(key.map_err(|error| BuildError::at("key", error.to_string())));
        faults.keep(check_broker_headers(&self.headers, ATTRIBUTE_PREFIX));
        faults.keep(self.check_client(context));
        faults.end(key)
    }

    fn check_client(&self, context: &SinkContext) -> Result<(), BuildError> {
        self.connection.check_properties(OWNED)?;
        self.connection.check_producer(self.producer(context))
    }

    /// The client properties for publishing.
    pub(crate) fn producer(&self, context: &SinkContext) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", format!("acteon-{}", context.name))
            // The same partition for a key as the Java client chooses.
            .set("partitioner", "murmur2_random");
        self.connection.apply(&mut config);
        config
            .set("enable.idempotence", "true")
            .set(
                "message.timeout.ms",
                record_timeout(context).as_millis().to_string(),
            )
            // A topic that is missing is known as such before the time is over.
            .set(
                "topic.metadata.propagation.max.ms",
                (record_timeout(context) / 2).as_millis().to_string(),
            )
            // The broker decides which records are too large for it.
            .set("message.max.bytes", "1000000000")
            .set("queue.buffering.max.kbytes", "1048576");
        config
    }
}

/// How long the client tries to publish a record. It gives up before the attempt does, so that no record is published
/// after its attempt has ended.
pub(crate) fn record_timeout(context: &SinkContext) -> Duration {
    context.timeout * 4 / 5
}

/// How long a record may wait for space in the client's queue.
pub(crate) fn queue_timeout(context: &SinkContext) -> Duration {
    context.timeout / 10
}
