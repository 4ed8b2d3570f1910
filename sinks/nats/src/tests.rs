//! Against a real server.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::Sink;
use acteon_services::Nats;
use acteon_testkit::contract::broker::{
    BrokerHarness, Published, build, carrying, deliver, deliver_all, with,
};
use async_nats::jetstream::stream;
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::NatsSinkFactory;

mod failures;
mod options;
mod outages;
mod subjects;
mod users;

const WAIT_MAX: Duration = Duration::from_secs(60);

/// A server with the stream `ORDERS`.
struct Stage {
    nats: Nats,
}

impl Stage {
    async fn start() -> Self {
        let stage = Self {
            nats: Nats::start().await.unwrap(),
        };
        stage.stream(stream::Config::default()).await;
        stage
    }

    /// Creates the stream, or gives it other limits.
    async fn stream(&self, limits: stream::Config) {
        let created = self.nats.create_stream("ORDERS", "orders.>", limits);
        created.await.unwrap();
    }

    /// The number of messages in the stream.
    async fn stored(&self) -> u64 {
        self.nats.stored("ORDERS").await.unwrap()
    }
}

#[async_trait(?Send)]
impl BrokerHarness for Stage {
    async fn sink_within(&self, more: Value, limit: Duration) -> Arc<dyn Sink> {
        let options = json!({"url": self.nats.url(), "subject": "orders.new"});
        build(NatsSinkFactory, with(options, &more), limit)
            .await
            .unwrap()
    }

    fn attribute_prefix(&self) -> &'static str {
        "ce-"
    }

    fn too_large_bytes(&self) -> usize {
        1 << 20
    }

    async fn messages(&self, count: usize) -> Vec<Published> {
        let stored = self.nats.messages("ORDERS", count).await.unwrap();
        let published = |one: acteon_services::StoredMessage| Published {
            body: one.body,
            headers: one.headers,
        };
        stored.into_iter().map(published).collect()
    }

    async fn stop(&self) {
        self.nats.stop().await.unwrap();
    }

    async fn restart(&self) {
        self.nats.restart().await.unwrap();
    }
}

acteon_testkit::broker_contract!(Stage::start, Stage::start);
