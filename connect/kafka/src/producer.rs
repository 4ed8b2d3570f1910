//! Publishes records and waits until the broker has confirmed them. The client is created on first use.

use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

/// A record to publish.
#[derive(Debug)]
pub struct ProducerRecord<'r> {
    /// Its topic.
    pub topic: &'r str,
    /// Its key. Records without one are spread over the partitions.
    pub key: Option<&'r [u8]>,
    /// Its value.
    pub value: &'r [u8],
    /// Its headers.
    pub headers: OwnedHeaders,
}

/// The place of a confirmed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
}

/// The clients that publish.
pub struct ConfirmedProducer<C: ClientContext + Clone + 'static> {
    together: Client<C>,
    /// For records refused as too large: the broker refuses records sent in one batch together.
    alone: Client<C>,
    queue_timeout: Duration,
}

impl<C: ClientContext + Clone + 'static> ConfirmedProducer<C> {
    /// Publishes with these properties. A record waits up to `queue_timeout` for space in the client's queue.
    pub fn new(together: ClientConfig, context: C, queue_timeout: Duration) -> Self {
        let mut alone = together.clone();
        alone.set("batch.num.messages", "1");
        Self {
            together: Client::new(together, context.clone()),
            alone: Client::new(alone, context),
            queue_timeout,
        }
    }

    /// Returns when the broker has confirmed the record.
    ///
    /// # Errors
    /// When the broker has not. After a time limit it may have stored the record nevertheless.
    pub async fn send(&self, record: ProducerRecord<'_>) -> KafkaResult<RecordMetadata> {
        let ProducerRecord {
            topic, key, value, ..
        } = record;
        let sent = self.together.send(record, self.queue_timeout).await;
        let unsent = match sent {
            Err(unsent)
                if unsent.error.rdkafka_error_code()
                    == Some(RDKafkaErrorCode::MessageSizeTooLarge) =>
            {
                unsent
            }
            sent => return sent.map_err(|unsent| unsent.error),
        };
        let record = ProducerRecord {
            topic,
            key,
            value,
            headers: unsent.headers,
        };
        let sent = self.alone.send(record, self.queue_timeout).await;
        sent.map_err(|unsent| unsent.error)
    }
}

/// Why a record was not sent, and its headers.
struct Unsent {
    error: KafkaError,
    headers: OwnedHeaders,
}

/// A client, created on first use.
struct Client<C: ClientContext + Clone + 'static> {
    config: ClientConfig,
    context: C,
    client: Mutex<Option<FutureProducer<C>>>,
}

impl<C: ClientContext + Clone + 'static> Client<C> {
    fn new(config: ClientConfig, context: C) -> Self {
        Self {
            config,
            context,
            client: Mutex::default(),
        }
    }

    async fn send(
        &self,
        record: ProducerRecord<'_>,
        queue_timeout: Duration,
    ) -> Result<RecordMetadata, Unsent> {
        let client = match self.get_or_create() {
            Ok(client) => client,
            Err(error) => {
                let headers = record.headers;
                return Err(Unsent { error, headers });
            }
        };
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(record.topic)
            .payload(record.value)
            .headers(record.headers);
        outgoing.key = record.key;
        let sent = client.send(outgoing, queue_timeout).await;
        let sent = sent.map(|delivery| RecordMetadata {
            partition: delivery.partition,
            offset: delivery.offset,
        });
        sent.map_err(|(error, mut message)| {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                // The client will never send again.
                *self.client.lock() = None;
            }
            let headers = message.detach_headers();
            let headers = headers.unwrap_or_else(OwnedHeaders::new);
            Unsent { error, headers }
        })
    }

    fn get_or_create(&self) -> KafkaResult<FutureProducer<C>> {
        let mut created = self.client.lock();
        if let Some(client) = &*created {
            return Ok(client.clone());
        }
        let client: FutureProducer<C> = self.config.create_with_context(self.context.clone())?;
        *created = Some(client.clone());
        Ok(client)
    }
}
