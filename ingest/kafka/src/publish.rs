//! Publishes to the topics of the delayed path and the dead letter topic.

use std::sync::Arc;
use std::time::Duration;

use acteon_connect_kafka::{ConfirmedProducer, ProducerRecord};
use acteon_core::{DeadLetter, Envelope, Parked, Permit};
use acteon_ingest_kit::{Publication as _, Publisher};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;

use crate::own_topics::OwnTopics;
use crate::record::{letter_headers, retry_headers};

/// How long to wait for space in the producer's queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// A record to publish.
pub(crate) struct OutgoingRecord {
    pub(crate) content: OutgoingContent,
    /// Its share of the room in flight. While one is missing, nothing new is read.
    pub(crate) permit: Option<Permit>,
}

/// The content of a record to publish.
pub(crate) enum OutgoingContent {
    /// An action that must not be offered before the timestamp.
    Retry(Parked<Box<Envelope>>, Timestamp),
    DeadLetter(Arc<DeadLetter>),
}

impl OutgoingRecord {
    /// An action that waits until `not_before`.
    pub(crate) fn retry(envelope: Box<Envelope>, not_before: Timestamp) -> Box<Self> {
        Box::new(Self {
            content: OutgoingContent::Retry(Parked::new(envelope), not_before),
            permit: None,
        })
    }

    pub(crate) fn dead_letter(letter: Arc<DeadLetter>) -> Box<Self> {
        Box::new(Self {
            content: OutgoingContent::DeadLetter(letter),
            permit: None,
        })
    }

    /// `retry` or `dead_letter`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            OutgoingContent::Retry(..) => "retry",
            OutgoingContent::DeadLetter(_) => "dead_letter",
        }
    }

    fn key(&self) -> Option<&[u8]> {
        match &self.content {
            OutgoingContent::Retry(envelope, _) => envelope.key.as_deref(),
            OutgoingContent::DeadLetter(_) => None,
        }
    }

    fn headers(&self, topics: &OwnTopics) -> OwnedHeaders {
        match &self.content {
            OutgoingContent::Retry(envelope, due) => retry_headers(&topics.owner, envelope, *due),
            OutgoingContent::DeadLetter(letter) => letter_headers(letter),
        }
    }

    /// Its topic. A waiting action goes to the topic for its remaining wait.
    fn topic<'t>(&self, topics: &'t OwnTopics) -> Option<&'t Arc<str>> {
        match &self.content {
            OutgoingContent::Retry(_, due) => {
                let wait = due.duration_since(topics.clock.now());
                let wait = Duration::try_from(wait).unwrap_or_default();
                Some(topics.retry.as_ref()?.for_wait(wait))
            }
            OutgoingContent::DeadLetter(_) => topics.dead_letter.as_ref(),
        }
    }
}

impl acteon_ingest_kit::Publication for OutgoingRecord {
    fn raw(&self) -> &Bytes {
        match &self.content {
            OutgoingContent::Retry(envelope, _) => &envelope.raw,
            OutgoingContent::DeadLetter(letter) => &letter.raw,
        }
    }
}

/// Publishes to the topics of a source.
pub(crate) struct Producer {
    topics: Arc<OwnTopics>,
    producer: ConfirmedProducer<DefaultClientContext>,
}

impl Producer {
    pub(crate) fn new(config: ClientConfig, topics: Arc<OwnTopics>) -> Self {
        Self {
            topics,
            producer: ConfirmedProducer::new(config, DefaultClientContext, QUEUE_TIMEOUT),
        }
    }

    async fn send(&self, record: &OutgoingRecord, topic: &str) -> KafkaResult<()> {
        let outgoing = ProducerRecord {
            topic,
            key: record.key(),
            value: record.raw(),
            headers: record.headers(&self.topics),
        };
        self.producer.send(outgoing).await.map(drop)
    }
}

#[async_trait]
impl Publisher for Producer {
    type Publication = OutgoingRecord;
    type Error = KafkaError;

    /// Declares the topics before sending: a broker that creates topics automatically would set too small a record
    /// limit.
    async fn publish(&self, record: &OutgoingRecord) -> KafkaResult<()> {
        self.topics.ensure().await?;
        let Some(topic) = record.topic(&self.topics) else {
            return Ok(());
        };
        let sent = self.send(record, topic).await;
        // The client keeps a record for a deleted topic until it times out.
        if let Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::MessageTimedOut,
        ) = code(&sent)
        {
            self.topics.recheck().await;
        }
        sent
    }
}

fn code(sent: &KafkaResult<()>) -> Option<RDKafkaErrorCode> {
    sent.as_ref().err()?.rdkafka_error_code()
}

/// True if a publication can never succeed.
pub(crate) fn is_refused(error: &KafkaError) -> bool {
    let KafkaError::MessageProduction(code) = error else {
        return false;
    };
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::UnsupportedForMessageFormat
            | RDKafkaErrorCode::PolicyViolation
    )
}
