//! Checks whether the topics to read exist.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use tokio::task::spawn_blocking;

const LOOKING_PATIENCE: Duration = Duration::from_secs(2);

/// True if all `topics` exist; false also if no broker answers.
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
