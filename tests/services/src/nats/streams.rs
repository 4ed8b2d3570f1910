//! Streams of a server, and the messages in them.

use async_nats::jetstream::{self, consumer, stream};
use async_nats::{HeaderName, HeaderValue};
use futures_util::StreamExt;

use super::Nats;
use crate::stored::StoredMessage;

impl Nats {
    /// A client for streams, without credentials.
    pub async fn jetstream(&self) -> anyhow::Result<jetstream::Context> {
        let client = async_nats::connect(self.url()).await?;
        Ok(jetstream::new(client))
    }

    /// Creates a stream of these subjects, or gives it other limits.
    pub async fn create_stream(
        &self,
        name: &str,
        subjects: &str,
        limits: stream::Config,
    ) -> anyhow::Result<()> {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            ..limits
        };
        let jetstream = self.jetstream().await?;
        jetstream.create_or_update_stream(config).await?;
        Ok(())
    }

    /// The number of messages in a stream.
    pub async fn stored(&self, stream: &str) -> anyhow::Result<u64> {
        let mut stream = self.jetstream().await?.get_stream(stream).await?;
        Ok(stream.info().await?.state.messages)
    }

    /// The first `count` messages of a stream. Waits for them.
    pub async fn messages(&self, stream: &str, count: usize) -> anyhow::Result<Vec<StoredMessage>> {
        let stream = self.jetstream().await?.get_stream(stream).await?;
        let config = consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await?;
        let mut messages = consumer.messages().await?.take(count);
        let mut all = Vec::with_capacity(count);
        while let Some(message) = messages.next().await {
            let message = message?;
            all.push(stored(&message));
        }
        Ok(all)
    }
}

fn stored(message: &async_nats::Message) -> StoredMessage {
    let one = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
        let value = values.first().map(ToString::to_string);
        (name.to_string().to_lowercase(), value.unwrap_or_default())
    };
    let headers = message.headers.iter().flat_map(|all| all.iter());
    StoredMessage {
        address: message.subject.to_string(),
        headers: headers.map(one).collect(),
        body: message.payload.clone(),
    }
}
