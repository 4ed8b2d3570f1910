//! Publishes to the retry topic and the dead letter topic.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::delivery::detached;
use acteon_core::{DeadLetter, Envelope};
use acteon_ingest_kit::Publisher;
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::OnceCell;

use crate::record::{letter_headers, retry_headers};

/// How long a full queue of the producer is waited for.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// A record to publish.
pub(crate) struct Publication {
    /// `retry` or `dead_letter`.
    pub(crate) kind: &'static str,
    raw: Bytes,
    topic: Arc<str>,
    headers: OwnedHeaders,
}

impl Publication {
    /// An action that waits in the retry topic until `not_before`.
    pub(crate) fn retry(topic: &Arc<str>, envelope: &Envelope, not_before: Timestamp) -> Self {
        Self {
            kind: "retry",
            raw: detached(&envelope.raw),
            topic: topic.clone(),
            headers: retry_headers(envelope, not_before),
        }
    }

    pub(crate) fn dead_letter(topic: &Arc<str>, letter: &DeadLetter) -> Self {
        Self {
            kind: "dead_letter",
            raw: letter.raw.clone(),
            topic: topic.clone(),
            headers: letter_headers(letter),
        }
    }
}

impl acteon_ingest_kit::Publication for Publication {
    fn raw(&self) -> &Bytes {
        &self.raw
    }
}

/// The producer, made when it is first needed.
pub(crate) struct Producer {
    config: ClientConfig,
    made: OnceCell<FutureProducer>,
}

impl Producer {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            config,
            made: OnceCell::new(),
        }
    }
}

#[async_trait]
impl Publisher for Producer {
    type Publication = Publication;
    type Error = KafkaError;

    async fn publish(&self, publication: &Publication) -> KafkaResult<()> {
        let make = async || self.config.create();
        let producer: &FutureProducer = self.made.get_or_try_init(make).await?;
        let record = FutureRecord::<[u8], [u8]>::to(&publication.topic)
            .payload(&publication.raw)
            .headers(publication.headers.clone());
        let sent = producer.send(record, QUEUE_PATIENCE).await;
        sent.map(|_| ()).map_err(|(error, _)| error)
    }
}
