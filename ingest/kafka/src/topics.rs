//! Whether topics exist: those that are read are looked for, those that the source itself writes to are created.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::Shutdown;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::task::spawn_blocking;

use crate::events::Events;

const PATIENCE: Duration = Duration::from_secs(10);
const LOOKING_PATIENCE: Duration = Duration::from_secs(2);
/// Leaves the number of partitions and replicas to the broker.
const BROKER_DEFAULT: i32 = -1;

/// Creates `topics` unless they exist. A refusal is logged: the topic may be there all the same, for others to
/// create it and not for us to see.
///
/// # Errors
/// When no broker answers.
pub(crate) async fn declare(
    client: &ClientConfig,
    topics: &[String],
    events: &Arc<Events>,
    shutdown: &Shutdown,
) -> KafkaResult<()> {
    if topics.is_empty() {
        return Ok(());
    }
    let admin: AdminClient<Declaring> = client.create_with_context(Declaring(events.clone()))?;
    let wanted: Vec<_> = topics
        .iter()
        .map(|topic| {
            NewTopic::new(
                topic,
                BROKER_DEFAULT,
                TopicReplication::Fixed(BROKER_DEFAULT),
            )
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let created = tokio::select! {
        created = admin.create_topics(&wanted, &options) => created,
        () = shutdown.stop.cancelled() => Ok(Vec::new()),
    };
    // Its end waits for its thread.
    drop(spawn_blocking(move || drop(admin)).await);
    for result in created? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => events.topic_not_declared(&topic, &code.to_string()),
        }
    }
    Ok(())
}

/// Tells what the client complains of while it creates topics.
struct Declaring(Arc<Events>);

impl ClientContext for Declaring {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.client_said(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.client_failed(&error, reason);
    }
}

/// True when all `topics` exist; false, too, when no broker answers.
pub(crate) async fn all_exist<C: ConsumerContext + 'static>(
    consumer: Arc<StreamConsumer<C>>,
    topics: Vec<String>,
) -> bool {
    let looked = spawn_blocking(move || topics.iter().all(|topic| exists(&consumer, topic)));
    looked.await.unwrap_or(false)
}

fn exists<C: ConsumerContext>(consumer: &StreamConsumer<C>, topic: &str) -> bool {
    let found = consumer.fetch_metadata(Some(topic), LOOKING_PATIENCE);
    found.is_ok_and(|metadata| {
        metadata
            .topics()
            .iter()
            .any(|topic| topic.error().is_none())
    })
}
