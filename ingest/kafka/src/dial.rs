//! Checks that the brokers answer and have the topics, with a client that joins no group.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::BuildError;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use tokio::task::spawn_blocking;

use crate::check;
use crate::client_errors::ClientErrors;
use crate::config::KafkaConfig;
use crate::member::{ConsumerMember, Prefetch};

/// How often the brokers are asked, and how long each request may take.
const REQUESTS_MAX: u32 = 4;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// More than a client reports in that time.
const REPORTS_MAX: usize = 100;

/// Asks the brokers for the topics of a source.
pub(crate) async fn dial(options: Arc<KafkaConfig>, name: &str) -> Result<String, BuildError> {
    let name = name.to_owned();
    let asked = spawn_blocking(move || ask(&options, &name)).await;
    asked.unwrap_or_else(|_| Err(BuildError::new("the Kafka client panicked")))
}

fn ask(options: &KafkaConfig, name: &str) -> Result<String, BuildError> {
    let config = options.consumer(name, ConsumerMember::OfTopics(0), Prefetch::of(0, 1));
    let client: BaseConsumer<DialContext> = config
        .create_with_context(DialContext::default())
        .map_err(|error| check::refused(&error, options))?;
    let mut brokers = 0;
    for (at, topic) in options.topics.iter().enumerate() {
        let metadata = metadata(&client, topic)?;
        brokers = metadata.brokers().len();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if found.is_none_or(|found| found.error().is_some()) {
            let message = format!("topic `{topic}` does not exist, or may not be seen");
            return Err(BuildError::at(format!("topics[{at}]"), message));
        }
    }
    let plural = if brokers == 1 {
        "broker answers"
    } else {
        "brokers answer"
    };
    Ok(format!("{brokers} {plural}, and the topics exist"))
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
