//! Whether the brokers can be reached and have the topics, asked by a client that joins no group.

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
use crate::config::KafkaConfig;
use crate::member::{Member, Prefetch};
use crate::trouble::Trouble;

/// The brokers are asked so often, each time for so long.
const ASKED: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(2);
/// More than a client has to say in that time.
const HEARD_MAX: usize = 100;

/// Asks the brokers for the topics of a source.
pub(crate) async fn dial(options: Arc<KafkaConfig>, name: &str) -> Result<String, BuildError> {
    let name = name.to_owned();
    let asked = spawn_blocking(move || ask(&options, &name)).await;
    asked.unwrap_or_else(|_| Err(BuildError::new("the Kafka client broke down")))
}

fn ask(options: &KafkaConfig, name: &str) -> Result<String, BuildError> {
    let config = options.consumer(name, Member::OfTopics(0), Prefetch::of(0, 1));
    let client: BaseConsumer<Listening> = config
        .create_with_context(Listening::default())
        .map_err(|error| check::refused(&error, options))?;
    let mut brokers = 0;
    for (at, topic) in options.topics.iter().enumerate() {
        let metadata = metadata(&client, topic)?;
        brokers = metadata.brokers().len();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if found.is_none_or(|found| found.error().is_some()) {
            let message = format!("the brokers have no topic `{topic}`, or do not show it");
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

fn metadata(client: &BaseConsumer<Listening>, topic: &str) -> Result<Metadata, BuildError> {
    for _ in 0..ASKED {
        if let Ok(metadata) = client.fetch_metadata(Some(topic), PATIENCE) {
            return Ok(metadata);
        }
        // What the client has to say it says while it is polled, one thing at a time.
        (0..HEARD_MAX).for_each(|_| drop(client.poll(Duration::ZERO)));
    }
    let detail = client.context().trouble.lock().detail();
    Err(BuildError::at("brokers", detail))
}

/// Keeps what the client complains of.
#[derive(Default)]
struct Listening {
    trouble: Mutex<Trouble>,
}

impl ClientContext for Listening {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        self.trouble.lock().is_new(code, reason);
    }
}

impl ConsumerContext for Listening {}
