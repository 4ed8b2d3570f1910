//! Publishes an action and waits for the broker's confirmation.

use std::sync::Arc;

use acteon_connect_kafka::{ConfirmedProducer, ProducerRecord, dial};
use acteon_core::action_path::ActionPath;
use acteon_core::sink::SinkContext;
use acteon_core::{Attempt, BuildError, Factory, ProviderResponse, Sink, SinkError, Sinks};
use acteon_sinks_kit::confirmed;
use async_trait::async_trait;
use serde::Serialize;

use crate::config::{KafkaSinkConfig, queue_timeout};
use crate::error::classify;
use crate::events::ClientEvents;
use crate::record::headers;

/// The factory of the `kafka` sink.
pub struct KafkaSinkFactory;

#[async_trait]
impl Factory<Sinks> for KafkaSinkFactory {
    const KIND: &'static str = "kafka";
    type Config = KafkaSinkConfig;

    async fn build(
        &self,
        config: KafkaSinkConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(KafkaSink::new(config, &context)?))
    }
}

/// Publishes each action to one topic.
pub struct KafkaSink {
    config: KafkaSinkConfig,
    key: Option<ActionPath>,
    client_name: String,
    events: ClientEvents,
    producer: ConfirmedProducer<ClientEvents>,
}

/// The answer to an action: where its record is.
#[derive(Serialize)]
struct KafkaAnswer<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
}

impl KafkaSink {
    /// A sink with these options. It does not connect yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(config: KafkaSinkConfig, context: &SinkContext) -> Result<Self, BuildError> {
        let key = config.check(context)?;
        let client = config.producer(context);
        let events = ClientEvents::new(context.name.clone());
        Ok(Self {
            config,
            key,
            client_name: format!("acteon-{}", context.name),
            events: events.clone(),
            producer: ConfirmedProducer::new(client, events, queue_timeout(context)),
        })
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let message = self.config.body.write(attempt.action)?;
        let key = self.key.as_ref().and_then(|path| path.find(attempt.action));
        let key = key.map(|found| found.into_text());
        let record = ProducerRecord {
            topic: &self.config.topic,
            key: key.as_deref().map(str::as_bytes),
            value: &message.body,
            headers: headers(&self.config.headers, &message, attempt),
        };
        let sent = self.producer.send(record).await;
        let stored = sent.map_err(|error| classify(error, &self.events))?;
        self.events.confirmed();
        let answer = KafkaAnswer {
            topic: &self.config.topic,
            partition: stored.partition,
            offset: stored.offset,
        };
        confirmed(&answer)
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let topics = vec![("topic".to_owned(), self.config.topic.clone())];
        let reached = dial(self.config.connection.clone(), &self.client_name, topics).await;
        reached.map(Some)
    }
}
