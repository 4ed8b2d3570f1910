//! Publishes to the retry topic and the dead letter topic. The producer is made when it is first needed.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::delivery::detached;
use acteon_core::{DeadLetter, Envelope};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::inbox::Place;
use crate::record::{letter_headers, retry_headers};

/// How long a full queue of the producer is waited for.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// A record to publish.
pub(crate) struct Publication {
    /// `retry` or `dead_letter`.
    pub(crate) kind: &'static str,
    pub(crate) raw: Bytes,
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

/// How a publication ended.
pub(crate) struct Published {
    pub(crate) place: Place,
    pub(crate) publication: Box<Publication>,
    pub(crate) result: KafkaResult<()>,
}

/// Publications on their way.
pub(crate) struct Publisher {
    config: ClientConfig,
    producer: Option<FutureProducer>,
    running: FuturesUnordered<BoxFuture<'static, Published>>,
}

impl Publisher {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            config,
            producer: None,
            running: FuturesUnordered::new(),
        }
    }

    /// Sends a record for `place`. [`Publisher::next`] tells how it went.
    pub(crate) fn publish(&mut self, place: Place, publication: Box<Publication>) {
        let producer = self.producer();
        self.running.push(Box::pin(async move {
            let result = match producer {
                Ok(producer) => send(&producer, &publication).await,
                Err(error) => Err(error),
            };
            Published {
                place,
                publication,
                result,
            }
        }));
    }

    /// The next publication to end. Pending while none is on its way.
    pub(crate) async fn next(&mut self) -> Published {
        match self.running.next().await {
            Some(published) => published,
            None => std::future::pending().await,
        }
    }

    fn producer(&mut self) -> KafkaResult<FutureProducer> {
        if let Some(producer) = &self.producer {
            return Ok(producer.clone());
        }
        let producer: FutureProducer = self.config.create()?;
        self.producer = Some(producer.clone());
        Ok(producer)
    }
}

async fn send(producer: &FutureProducer, publication: &Publication) -> KafkaResult<()> {
    let record = FutureRecord::<[u8], [u8]>::to(&publication.topic)
        .payload(&publication.raw)
        .headers(publication.headers.clone());
    let sent = producer.send(record, QUEUE_PATIENCE).await;
    sent.map(|_| ()).map_err(|(error, _)| error)
}
