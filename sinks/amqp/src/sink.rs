//! Publishes an action and waits for the broker's confirmation.

use std::sync::Arc;
use std::time::Duration;

use acteon_connect_amqp::{AmqpConnectError, AmqpLink, AmqpMessage, AmqpPublishError, AmqpReply};
use acteon_core::sink::SinkContext;
use acteon_core::{Attempt, BuildError, Factory, ProviderResponse, Sink, SinkError, Sinks};
use acteon_sinks_kit::{BrokerLink, RoutingTemplate, SharedConnection, attempt_limit, confirmed};
use async_trait::async_trait;
use compact_str::CompactString;
use serde::Serialize;
use tokio::time::timeout;

use crate::config::AmqpSinkConfig;
use crate::error::{unconfirmed, unconnected, unpublished};
use crate::message::{properties, routing_key};

/// How long the broker may take to accept a connection.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(8);
/// Each unconfirmed message has a separate channel, and brokers limit their number.
const CHANNELS_MAX: u16 = 256;
/// The reply code for an exchange that does not exist.
const NOT_FOUND: u16 = 404;

/// The factory of the `amqp` sink.
pub struct AmqpSinkFactory;

#[async_trait]
impl Factory<Sinks> for AmqpSinkFactory {
    const KIND: &'static str = "amqp";
    type Config = AmqpSinkConfig;

    async fn build(
        &self,
        config: AmqpSinkConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(AmqpSink::new(config, &context)?))
    }
}

/// Publishes each action to an exchange.
pub struct AmqpSink {
    config: AmqpSinkConfig,
    routing_key: RoutingTemplate,
    provider: CompactString,
    limit: Duration,
    channels: u16,
    link: SharedConnection<SinkLink, AmqpConnectError>,
}

/// The answer to an action: where its message went.
#[derive(Serialize)]
struct AmqpAnswer<'a> {
    exchange: &'a str,
    routing_key: &'a str,
    message_id: &'a str,
}

struct SinkLink(AmqpLink);

impl BrokerLink for SinkLink {
    fn is_usable(&self) -> bool {
        self.0.is_usable()
    }
}

impl AmqpSink {
    /// A sink with these options. It does not connect yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(config: AmqpSinkConfig, context: &SinkContext) -> Result<Self, BuildError> {
        Ok(Self {
            routing_key: config.check()?,
            config,
            provider: context.name.clone(),
            limit: attempt_limit(context),
            channels: u16::try_from(context.max_concurrent)
                .unwrap_or(CHANNELS_MAX)
                .min(CHANNELS_MAX),
            link: SharedConnection::default(),
        })
    }

    async fn connect(&self) -> Result<SinkLink, AmqpConnectError> {
        let client = format!("acteon-{}", self.provider);
        let limit = self.limit.min(CONNECT_TIMEOUT_MAX);
        let AmqpSinkConfig {
            connection, tls, ..
        } = &self.config;
        let connected = connection.connect(tls, &client, limit, self.channels);
        connected.await.map(SinkLink)
    }

    async fn publish(&self, message: AmqpMessage<'_>) -> Result<(), SinkError> {
        let link = self.link.get(async || self.connect().await).await;
        let link = link.map_err(|error| unconnected(&error))?;
        let published = link.0.publish(message).await;
        published.map_err(|error| unpublished(&error, &self.routing_key))
    }
}

#[async_trait]
impl Sink for AmqpSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let message = self.config.body.write(attempt.action)?;
        let most = self.config.max_message_bytes;
        if message.body.len() > most {
            let size = format!("{} bytes of at most {most}", message.body.len());
            let error = AmqpPublishError::TooLarge(size);
            return Err(unpublished(&error, &self.routing_key));
        }
        let routing_key = routing_key(&self.routing_key, attempt.action)?;
        let published = self.publish(AmqpMessage {
            exchange: &self.config.exchange,
            routing_key: &routing_key,
            body: &message.body,
            properties: properties(&self.config.headers, &message, attempt),
        });
        let published = timeout(self.limit, published).await;
        published.map_err(|_| unconfirmed())??;
        confirmed(&AmqpAnswer {
            exchange: &self.config.exchange,
            routing_key: &routing_key,
            message_id: attempt.idempotency_key,
        })
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let connected = self.connect().await;
        let SinkLink(link) = connected.map_err(|error| BuildError::at("url", error.to_string()))?;
        let server = format!("connected to {}", link.server());
        let exchange = &self.config.exchange;
        // Every broker has the default exchange, and refuses questions about it.
        let asked = async {
            match exchange.is_empty() {
                true => Ok(None),
                false => link.find_exchange(exchange).await,
            }
        };
        let asked = timeout(self.limit, asked).await;
        drop(timeout(CONNECT_TIMEOUT_MAX.min(self.limit), link.close()).await);
        match asked {
            Ok(Ok(None)) if exchange.is_empty() => Ok(Some(server)),
            Ok(Ok(None)) => Ok(Some(format!(
                "{server}, and the exchange `{exchange}` exists"
            ))),
            Ok(Ok(Some(AmqpReply { code, text }))) => {
                let message = match code {
                    NOT_FOUND => format!("there is no exchange `{exchange}` in this virtual host"),
                    _ => text,
                };
                Err(BuildError::at("exchange", message))
            }
            Ok(Err(error)) => Err(BuildError::at("url", error.to_string())),
            Err(_) => Err(BuildError::at("url", "the broker does not answer in time")),
        }
    }
}
