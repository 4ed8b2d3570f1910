//! Publishes an action and waits for the ack of the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use acteon_connect_nats::{HeaderMap, NatsConnectError, NatsLink, NatsRequestError};
use acteon_core::sink::SinkContext;
use acteon_core::{Attempt, BuildError, Factory, ProviderResponse, Sink, SinkError, Sinks};
use acteon_sinks_kit::{BrokerLink, RoutingTemplate, SharedConnection, attempt_limit, confirmed};
use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use crate::ack::PublishAck;
use crate::config::NatsSinkConfig;
use crate::error::{refused, unanswered, unconfirmed, unconnected, unreadable};
use crate::message::{headers, subject};
use crate::streams::find_streams;

/// How long one server may take to accept a connection.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// While a cluster elects the leader of a stream, no server answers. Only after these waits the stream counts as missing.
const ELECTION_WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];

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
    /// True if the user could not receive acks over the last connection.
    is_deaf: AtomicBool,
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
            is_deaf: AtomicBool::new(false),
        })
    }

    async fn connect(&self) -> Result<SinkLink, NatsConnectError> {
        let client = format!("acteon-{}", self.provider);
        let limit = self.limit.min(CONNECT_TIMEOUT_MAX);
        let NatsSinkConfig {
            connection, tls, ..
        } = &self.config;
        let link = connection.connect(tls, &client, limit).await?;
        // The stream would store each message whose ack cannot arrive, again for each attempt.
        if self.is_deaf.load(Relaxed) {
            let checked = timeout(limit, link.check_inbox()).await;
            let checked = checked.unwrap_or(Err(NatsRequestError::Lost));
            checked.map_err(|error| match error {
                NatsRequestError::InboxDenied => NatsConnectError::Refused(error.to_string()),
                _ => NatsConnectError::Unreachable(error.to_string()),
            })?;
            self.is_deaf.store(false, Relaxed);
        }
        Ok(SinkLink(link))
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
            let link = link.map_err(|error| unconnected(&error))?;
            let answered = link.0.request(subject, headers(), body.clone()).await;
            match (answered, waits.next()) {
                (Ok(answer), _) => {
                    let ack = serde_json::from_slice::<PublishAck>(&answer.payload);
                    return ack.map_err(|error| unreadable(error, &self.subject));
                }
                (Err(NatsRequestError::NoResponders), Some(wait)) => sleep(wait).await,
                (Err(error), _) => {
                    if error == NatsRequestError::InboxDenied {
                        self.is_deaf.store(true, Relaxed);
                    }
                    return Err(unanswered(error, &self.subject));
                }
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
            return Err(refused(error, &self.subject));
        }
        confirmed(&NatsAnswer {
            subject: &subject,
            stream: &ack.stream,
            sequence: ack.sequence,
            duplicate: ack.duplicate,
        })
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let connected = self.connect().await;
        let SinkLink(link) = connected.map_err(|error| BuildError::at("url", error.to_string()))?;
        let server = format!("connected to {}", link.server());
        let subject = self.subject.with_each("*");
        let asked = timeout(self.limit, find_streams(&link, &subject)).await;
        let asked =
            asked.map_err(|_| BuildError::at("url", "JetStream does not answer in time"))?;
        let Some(names) = asked? else {
            return Ok(Some(format!("{server}; the user may not ask for streams")));
        };
        let all = names.join("`, `");
        Ok(Some(match names.len() {
            1 => format!("{server}, and the stream `{all}` takes its messages"),
            _ => format!("{server}, and the streams `{all}` take its messages"),
        }))
    }
}
