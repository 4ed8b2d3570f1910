//! Against a real broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use acteon_core::Sink;
use acteon_services::Rabbit;
use acteon_testkit::contract::broker::{
    BrokerHarness, Published, build, carrying, deliver, deliver_all, with,
};
use async_trait::async_trait;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::AmqpSinkFactory;

mod failures;
mod options;
mod outages;
mod routing;
mod users;

const WAIT_MAX: Duration = Duration::from_secs(60);

/// An exchange of a broker, and a queue for its messages. Both have the same name.
struct Stage {
    rabbit: &'static Rabbit,
    name: String,
}

impl Stage {
    /// A place of the broker that all tests share.
    async fn shared() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("orders-{}", NUMBER.fetch_add(1, Relaxed));
        Self::of(Rabbit::shared().await, name).await
    }

    /// A place of a separate broker, which ends with the process.
    async fn own() -> Self {
        let rabbit = Rabbit::start().await.unwrap();
        Self::of(Box::leak(Box::new(rabbit)), "orders".to_owned()).await
    }

    async fn of(rabbit: &'static Rabbit, name: String) -> Self {
        let stage = Self { rabbit, name };
        // A quorum queue of a single broker that was killed confirms nothing for minutes after its restart.
        let classic = [("x-queue-type", AMQPValue::LongString("classic".into()))];
        stage.queue("", "orders.#", &classic).await;
        stage
    }

    /// Creates the exchange, and a queue whose name ends with `suffix`.
    async fn queue(&self, suffix: &str, key: &str, arguments: &[(&str, AMQPValue)]) -> String {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let queue = format!("{}{suffix}", self.name);
        let created = self.rabbit.create_queue(&self.name, &queue, key, table);
        created.await.unwrap();
        queue
    }
}

#[async_trait(?Send)]
impl BrokerHarness for Stage {
    async fn sink_within(&self, more: Value, limit: Duration) -> Arc<dyn Sink> {
        let options = json!({
            "url": self.rabbit.url(), "exchange": self.name, "routing_key": "orders.new",
            "max_message_bytes": 1 << 20,
        });
        build(AmqpSinkFactory, with(options, &more), limit)
            .await
            .unwrap()
    }

    fn attribute_prefix(&self) -> &'static str {
        "cloudEvents_"
    }

    fn too_large_bytes(&self) -> usize {
        2 << 20
    }

    async fn messages(&self, count: usize) -> Vec<Published> {
        let stored = self.rabbit.messages(&self.name, count).await.unwrap();
        let published = |one: acteon_services::StoredMessage| Published {
            body: one.body,
            headers: one.headers,
        };
        stored.into_iter().map(published).collect()
    }

    async fn stop(&self) {
        self.rabbit.stop().await.unwrap();
    }

    async fn restart(&self) {
        self.rabbit.restart().await.unwrap();
    }
}

acteon_testkit::broker_contract!(Stage::shared, Stage::own);
