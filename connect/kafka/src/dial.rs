//! Checks that the brokers answer and have the topics, with a client that joins no group.

use std::time::Duration;

use acteon_core::BuildError;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use tokio::task::spawn_blocking;

use crate::client_errors::ClientErrors;
use crate::options::KafkaConnection;

/// How often the brokers are asked, and how long each request may take.
const REQUESTS_MAX: u32 = 4;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// More than a client reports in that time.
const REPORTS_MAX: usize = 100;

/// Asks the brokers for topics, each given with the option that names it. Creates nothing. Returns a description of the
/// brokers.
///
/// # Errors
/// If no broker answers, or if a topic does not exist or may not be seen.
pub async fn dial(
    connection: KafkaConnection,
    client: &str,
    topics: Vec<(String, String)>,
) -> Result<String, BuildError> {
    let mut config = ClientConfig::new();
    config.set("client.id", client);
    connection.apply(&mut config);
    config.set("allow.auto.create.topics", "false");
    let asked = spawn_blocking(move || ask(&connection, &config, &topics)).await;
    asked.unwrap_or_else(|_| Err(BuildError::new("the Kafka client panicked")))
}

fn ask(
    connection: &KafkaConnection,
    config: &ClientConfig,
    topics: &[(String, String)],
) -> Result<String, BuildError> {
    let client: BaseConsumer<DialContext> = config
        .create_with_context(DialContext::default())
        .map_err(|error| connection.refused(&error))?;
    let mut brokers = 0;
    for (option, topic) in topics {
        let metadata = metadata(&client, topic)?;
        brokers = metadata.brokers().len();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if found.is_none_or(|found| found.error().is_some()) {
            let message = format!("topic `{topic}` does not exist, or may not be seen");
            return Err(BuildError::at(option, message));
        }
    }
    let brokers = match brokers {
        1 => "1 broker answers".to_owned(),
        _ => format!("{brokers} brokers answer"),
    };
    let topics = match topics.len() {
        1 => "the topic exists",
        _ => "the topics exist",
    };
    Ok(format!("{brokers}, and {topics}"))
}

fn metadata(client: &BaseConsumer<DialContext>, topic: &str) -> Result<Metadata, BuildError> {
    for _ in 0..REQUESTS_MAX {
        if let Ok(metadata) = client.fetch_metadata(Some(topic), REQUEST_TIMEOUT) {
            return Ok(metadata);
        }
        // Each poll delivers one report.
        (0..REPORTS_MAX).for_each(|_| drop(client.poll(Duration::ZERO)));
    }
    let detail = client.context().errors.lock().detail();
    Err(BuildError::at("brokers", detail))
}

/// Keeps the errors that the client reports.
#[derive(Default)]
struct DialContext {
    errors: Mutex<ClientErrors>,
}

impl ClientContext for DialContext {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        self.errors.lock().is_new(code, reason);
    }
}

impl ConsumerContext for DialContext {}
