//! Publishes an action and waits for the ack of the stream.

use std::sync::Arc;
use std::time::Duration;

use acteon_connect_nats::{HeaderMap, NatsConnectError, NatsLink, NatsRequestError};
use acteon_core::sink::SinkContext;
use acteon_core::{Attempt, BuildError, Factory, ProviderResponse, Sink, SinkError, Sinks};
use acteon_sinks_kit::{BrokerLink, RoutingTemplate, SharedConnection, attempt_limit, confirmed};
use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use serde::Serialize;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::ack::{PublishAck, StreamNames};
use crate::config::NatsSinkConfig;
use crate::error::{refused, unanswered, unconfirmed, unconnected, unreadable};
use crate::message::{headers, subject};

/// How long one server may take to accept a connection.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// While a cluster elects the leader of a stream, no server answers. Only after these waits the stream counts as missing.
const ELECTION_WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
/// Asks for the names of streams.
const STREAM_NAMES: &str = "$JS.API.STREAM.NAMES";

/// The factory of the `nats` sink.
pub struct NatsSinkFactory;

#[async_trait]
impl Factory<Sinks> for NatsSinkFactory {
    const KIND: &'static str = "nats";
    type Config = NatsSinkConfig;

    async fn build(
        &self,
        config: NatsSinkConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(NatsSink::new(config, &context)?))
    }
}

/// Publishes each action to a subject.
pub struct NatsSink {
    config: NatsSinkConfig,
    subject: RoutingTemplate,
    provider: CompactString,
    limit: Duration,
    link: SharedConnection<SinkLink, NatsConnectError>,
}

/// The answer to an action: where its message is.
#[derive(Serialize)]
struct NatsAnswer<'a> {
    subject: &'a str,
    stream: &'a str,
    sequence: u64,
    /// The stream had it before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

struct SinkLink(NatsLink);

impl BrokerLink for SinkLink {
    fn is_usable(&self) -> bool {
        self.0.is_usable()
    }
}

impl NatsSink {
    /// A sink with these options. It does not connect yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(config: NatsSinkConfig, context: &SinkContext) -> Result<Self, BuildError> {
        Ok(Self {
            subject: config.check()?,
            config,
            provider: context.name.clone(),
            limit: attempt_limit(context),
            link: SharedConnection::default(),
        })
    }

    async fn connect(&self) -> Result<SinkLink, NatsConnectError> {
        let client = format!("acteon-{}", self.provider);
        let limit = self.limit.min(CONNECT_TIMEOUT_MAX);
        let NatsSinkConfig {
            connection, tls, ..
        } = &self.config;
        let connected = connection.connect(tls, &client, limit).await;
        connected.map(SinkLink)
    }

    async fn publish(
        &self,
        subject: &str,
        headers: impl Fn() -> HeaderMap,
        body: &Bytes,
    ) -> Result<PublishAck, SinkError> {
        let mut waits = ELECTION_WAITS.into_iter();
        loop {
            let link = self.link.get(async || self.connect().await).await;
            let link = link.map_err(unconnected)?;
            let answered = link.0.request(subject, headers(), body.clone()).await;
            match (answered, waits.next()) {
                (Ok(answer), _) => {
                    let ack = serde_json::from_slice::<PublishAck>(&answer.payload);
                    return ack.map_err(unreadable);
                }
                (Err(NatsRequestError::NoResponders), Some(wait)) => sleep(wait).await,
                (Err(error), _) => return Err(unanswered(error)),
            }
        }
    }
}

#[async_trait]
impl Sink for NatsSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let message = self.config.body.write(attempt.action)?;
        let subject = subject(&self.subject, attempt.action)?;
        let headers = || headers(&self.config.headers, &message, attempt, &self.provider);
        let published = self.publish(&subject, headers, &message.body);
        let published = timeout(self.limit, published).await;
        let ack = published.map_err(|_| unconfirmed())??;
        if let Some(error) = &ack.error {
            return Err(refused(error));
        }
        confirmed(&NatsAnswer {
            subject: &subject,
            stream: &ack.stream,
            sequence: ack.sequence,
            duplicate: ack.duplicate,
        })
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let wrong = |message: &str| Err(BuildError::at("url", message));
        let SinkLink(link) = self
            .connect()
            .await
            .map_err(|error| BuildError::at("url", error.to_string()).with_source(error))?;
        let server = format!("connected to {}", link.server());
        let wanted = self.subject.with_each("*");
        let question = json!({"subject": wanted}).to_string();
        let asked = link.request(STREAM_NAMES, HeaderMap::new(), question.into());
        let answer = match timeout(self.limit, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(NatsRequestError::NoResponders)) => {
                return wrong("JetStream is not enabled for this account");
            }
            // A user who only publishes need not be allowed to ask.
            Ok(Err(NatsRequestError::Denied(_))) => {
                return Ok(Some(format!("{server}; the user may not ask for streams")));
            }
            Ok(Err(error)) => return wrong(&error.to_string()),
            Err(_) => return wrong("JetStream does not answer in time"),
        };
        let names = serde_json::from_slice::<StreamNames>(&answer.payload);
        let names = match names {
            Ok(StreamNames {
                error: None,
                streams,
            }) => streams.unwrap_or_default(),
            Ok(StreamNames {
                error: Some(error), ..
            }) => return wrong(&error.description),
            Err(_) => return wrong("JetStream answers something unknown"),
        };
        let all = names.join("`, `");
        match names.len() {
            0 => {
                let message = format!("no stream takes messages of `{wanted}`");
                Err(BuildError::at("subject", message))
            }
            1 => Ok(Some(format!(
                "{server}, and the stream `{all}` takes its messages"
            ))),
            _ => Ok(Some(format!(
                "{server}, and the streams `{all}` take its messages"
            ))),
        }
    }
}
