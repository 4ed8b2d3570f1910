//! Publishes to the topics of the delayed path and the dead letter topic. The producer is made when it is first needed.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{DeadLetter, Envelope, Permit};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::inbox::Place;
use crate::own_topics::OwnTopics;
use crate::record::{letter_headers, retry_headers};

/// How long a full queue of the producer is waited for.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// A record to publish.
pub(crate) struct Publication {
    pub(crate) copy: Copied,
    /// Its share of what may be in flight; without one nothing new is read.
    pub(crate) permit: Option<Permit>,
}

/// What it is a copy of.
pub(crate) enum Copied {
    /// An action that is not to be offered before then.
    Retry(Box<Envelope>, Timestamp),
    DeadLetter(Arc<DeadLetter>),
}

impl Publication {
    /// An action that waits until `not_before`.
    pub(crate) fn retry(mut envelope: Box<Envelope>, not_before: Timestamp) -> Box<Self> {
        envelope.detach();
        Box::new(Self {
            copy: Copied::Retry(envelope, not_before),
            permit: None,
        })
    }

    pub(crate) fn dead_letter(letter: Arc<DeadLetter>) -> Box<Self> {
        Box::new(Self {
            copy: Copied::DeadLetter(letter),
            permit: None,
        })
    }

    /// `retry` or `dead_letter`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.copy {
            Copied::Retry(..) => "retry",
            Copied::DeadLetter(_) => "dead_letter",
        }
    }

    pub(crate) fn raw(&self) -> &Bytes {
        match &self.copy {
            Copied::Retry(envelope, _) => &envelope.raw,
            Copied::DeadLetter(letter) => &letter.raw,
        }
    }

    fn key(&self) -> Option<&[u8]> {
        match &self.copy {
            Copied::Retry(envelope, _) => envelope.key.as_deref(),
            Copied::DeadLetter(_) => None,
        }
    }

    fn headers(&self, topics: &OwnTopics) -> OwnedHeaders {
        match &self.copy {
            Copied::Retry(envelope, due) => retry_headers(&topics.owner, envelope, *due),
            Copied::DeadLetter(letter) => letter_headers(letter),
        }
    }

    /// Where it goes. What waits goes by the time it still has to wait.
    fn topic<'t>(&self, topics: &'t OwnTopics) -> Option<&'t Arc<str>> {
        match &self.copy {
            Copied::Retry(_, due) => {
                let wait = due.duration_since(topics.clock.now());
                let wait = Duration::try_from(wait).unwrap_or_default();
                Some(topics.retry.as_ref()?.for_wait(wait))
            }
            Copied::DeadLetter(_) => topics.dead_letter.as_ref(),
        }
    }
}

/// How a publication ended.
pub(crate) struct Published {
    pub(crate) place: Place,
    pub(crate) publication: Box<Publication>,
    pub(crate) result: KafkaResult<()>,
}

impl Published {
    /// True when it can never succeed, however often it is tried.
    pub(crate) fn is_refused(&self) -> bool {
        let Err(KafkaError::MessageProduction(code)) = &self.result else {
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
}

/// Publications on their way.
pub(crate) struct Publisher {
    topics: Arc<OwnTopics>,
    config: ClientConfig,
    producer: Option<FutureProducer>,
    running: FuturesUnordered<BoxFuture<'static, Published>>,
    unadmitted: usize,
}

impl Publisher {
    pub(crate) fn new(config: ClientConfig, topics: Arc<OwnTopics>) -> Self {
        Self {
            topics,
            config,
            producer: None,
            running: FuturesUnordered::new(),
            unadmitted: 0,
        }
    }

    /// Sends a record for `place`. [`Publisher::next`] tells how it went.
    pub(crate) fn publish(&mut self, place: Place, publication: Box<Publication>) {
        self.unadmitted += usize::from(publication.permit.is_none());
        let (producer, topics) = (self.producer(), self.topics.clone());
        self.running.push(Box::pin(async move {
            let result = match producer {
                Ok(producer) => send(&producer, &publication, &topics).await,
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
        let Some(published) = self.running.next().await else {
            return std::future::pending().await;
        };
        self.unadmitted -= usize::from(published.publication.permit.is_none());
        if code(&published.result) == Some(RDKafkaErrorCode::Fatal) {
            // It will never send anything again.
            self.producer = None;
        }
        published
    }

    /// True while something is on its way that has no room of its own.
    pub(crate) fn is_over_the_bound(&self) -> bool {
        self.unadmitted > 0
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

/// The topic exists before anything is sent to it: a broker that makes topics by itself would make it too narrow.
async fn send(
    producer: &FutureProducer,
    publication: &Publication,
    topics: &OwnTopics,
) -> KafkaResult<()> {
    topics.ensure().await?;
    let Some(topic) = publication.topic(topics) else {
        return Ok(());
    };
    let mut record = FutureRecord::<[u8], [u8]>::to(topic)
        .payload(publication.raw())
        .headers(publication.headers(topics));
    record.key = publication.key();
    let sent = producer.send(record, QUEUE_PATIENCE).await;
    let result = sent.map(|_| ()).map_err(|(error, _)| error);
    // A topic that is not there any more is waited for until the time is over.
    if matches!(
        code(&result),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::MessageTimedOut
        )
    ) {
        topics.doubt().await;
    }
    result
}

fn code(result: &KafkaResult<()>) -> Option<RDKafkaErrorCode> {
    result.as_ref().err()?.rdkafka_error_code()
}
