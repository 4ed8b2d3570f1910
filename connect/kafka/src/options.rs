//! The options of a connection, and the client properties they become.

use std::collections::BTreeMap;

use acteon_core::{BuildError, Secret};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::tls;

/// How to connect to Kafka. Each adapter flattens them into its own options.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct KafkaConnection {
    /// The brokers to ask first: `host:port`, separated by commas.
    #[schemars(length(min = 1))]
    pub brokers: String,
    /// Properties for the client library, such as those of TLS and SASL. Values are text and may be secrets.
    #[serde(default)]
    pub client: BTreeMap<String, Secret>,
}

const CONFIRMED: &str = "records are published only with confirmation";

/// The longest name that a broker accepts for a topic.
const TOPIC_LENGTH_MAX: usize = 249;

/// Client properties that Acteon controls in every client, and what to set instead.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set `brokers`"),
    ("metadata.broker.list", "set `brokers`"),
    ("acks", CONFIRMED),
    ("enable.idempotence", CONFIRMED),
    ("log_level", "set `log.level`"),
    ("transactional.id", "transactions are not used"),
    (
        "test.mock.num.brokers",
        "it would replace the brokers by simulated ones",
    ),
];

impl KafkaConnection {
    /// Refuses an empty list of brokers.
    ///
    /// # Errors
    /// If no broker is named.
    pub fn check_brokers(&self) -> Result<(), BuildError> {
        match self.brokers.trim() {
            "" => Err(BuildError::at("brokers", "must not be empty")),
            _ => Ok(()),
        }
    }

    /// Checks the properties that are known here. `owned` are properties that the adapter controls, and what to set
    /// instead.
    ///
    /// # Errors
    /// The first property that cannot work.
    pub fn check_properties(&self, owned: &[(&str, &str)]) -> Result<(), BuildError> {
        for property in self.client.keys() {
            let mut all = OWNED.iter().chain(owned);
            if let Some((_, instead)) = all.find(|(owned, _)| owned == property) {
                let message = format!("Acteon sets this property itself: {instead}");
                return Err(BuildError::at(format!("client.{property}"), message));
            }
        }
        tls::check_files(&self.client)
    }

    /// Adds the properties of the connection to `config`. They win over what it has.
    pub fn apply(&self, config: &mut ClientConfig) {
        config
            // The client waits half of this before each new attempt at a broker that refuses it. With the default it
            // would try twenty times a second.
            .set("reconnect.backoff.ms", "1000")
            .set(tls::AUTHORITIES_KEY, tls::OF_THE_SYSTEM);
        for (property, value) in &self.client {
            config.set(property, value.expose());
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set_log_level(RDKafkaLogLevel::Warning);
    }

    /// The names of `topic` as an external resource, one per broker.
    pub fn resources(&self, topic: &str) -> Vec<String> {
        let brokers = self.brokers.split(',').map(str::trim);
        let named = brokers.map(|broker| format!("topic `{topic}` at {broker}"));
        named.collect()
    }
}

/// Refuses a name that no broker accepts.
///
/// # Errors
/// One sentence about the name.
pub fn check_topic(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_topic = (1..=TOPIC_LENGTH_MAX).contains(&name.len())
        && name.chars().all(legal)
        && !matches!(name, "." | "..");
    match is_topic {
        true => Ok(()),
        false => Err(format!("`{name}` is not a valid topic name")),
    }
}
