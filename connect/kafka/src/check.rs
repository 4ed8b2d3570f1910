//! Asks the client library whether it accepts the options: it detects some errors only when a client is created.
//! Connects to nothing.

use acteon_core::BuildError;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::types::RDKafkaConfRes;

use crate::options::KafkaConnection;

/// Replaces values in messages.
const HIDDEN: &str = "***";

impl KafkaConnection {
    /// Creates a consumer with the properties in `config`, and drops it.
    ///
    /// # Errors
    /// The client library's error, without values.
    pub fn check_consumer(&self, config: ClientConfig) -> Result<(), BuildError> {
        without_brokers(config)
            .create_with_context::<_, BaseConsumer>(DefaultConsumerContext)
            .map(drop)
            .map_err(|error| self.refused(&error))
    }

    /// Creates a producer with the properties in `config`, and drops it.
    ///
    /// # Errors
    /// The client library's error, without values.
    pub fn check_producer(&self, config: ClientConfig) -> Result<(), BuildError> {
        without_brokers(config)
            .create::<BaseProducer>()
            .map(drop)
            .map_err(|error| self.refused(&error))
    }

    /// The client library's refusal of the properties. Names the wrong property without its value, which may be a
    /// secret.
    pub fn refused(&self, error: &KafkaError) -> BuildError {
        match error {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, property, _) => {
                let message = "the Kafka client has no such property";
                BuildError::at(format!("client.{property}"), message)
            }
            KafkaError::ClientConfig(_, _, property, _) => {
                let message = "the Kafka client does not accept this value";
                BuildError::at(format!("client.{property}"), message)
            }
            KafkaError::ClientCreation(reason) => {
                let reason = self.without_values(reason);
                let message = format!(
                    "the Kafka client does not accept this combination of properties: {reason}"
                );
                BuildError::at("client", message)
            }
            _ => BuildError::at(
                "client",
                "the Kafka client does not accept these properties",
            ),
        }
    }

    /// The library's message with the configured values removed. A word that is part of a property name is kept.
    fn without_values(&self, reason: &str) -> String {
        let is_name = |value: &str| self.client.keys().any(|name| name.contains(value));
        let mut values: Vec<&str> = self
            .client
            .values()
            .map(|value| value.expose())
            .filter(|value| !value.is_empty() && !is_name(value))
            .collect();
        // A value that contains another is removed first.
        values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
        let hide = |text: String, value: &&str| text.replace(value, HIDDEN);
        values.iter().fold(reason.to_owned(), hide)
    }
}

/// A client without brokers does not connect, and closes at once.
fn without_brokers(mut config: ClientConfig) -> ClientConfig {
    config.remove("bootstrap.servers");
    config.set_log_level(RDKafkaLogLevel::Emerg);
    config
}
