//! A plain consumer loop: parses each record typed, leaves the payload raw, and lets the client commit by itself.

use std::time::Duration;

use anyhow::ensure;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message};
use serde::Deserialize;
use sonic_rs::LazyValue;

use super::Fetching;

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is parsed is what costs")]
struct Action<'a> {
    namespace: &'a str,
    tenant: &'a str,
    provider: &'a str,
    action_type: &'a str,
    dedup_key: Option<&'a str>,
    #[serde(borrow)]
    metadata: LazyValue<'a>,
    #[serde(borrow)]
    payload: LazyValue<'a>,
}

pub(super) fn consume(
    brokers: &str,
    topic: &str,
    records: u64,
    fetching: Fetching,
) -> anyhow::Result<()> {
    let mut config = ClientConfig::new();
    if fetching == Fetching::Steady {
        config.set("fetch.queue.backoff.ms", "10");
    }
    let consumer: BaseConsumer = config
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("floor-{}", uuid::Uuid::now_v7()))
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[topic])?;
    let mut parsed = 0;
    let mut nothing = 0;
    while parsed < records {
        // It also returns without a record after it was busy with something else.
        let Some(message) = consumer.poll(Duration::from_secs(1)) else {
            nothing += 1;
            ensure!(nothing < 60, "nothing more after {parsed} records");
            continue;
        };
        let message = message?;
        let action: Action<'_> = sonic_rs::from_slice(message.payload().unwrap_or_default())?;
        ensure!(!action.namespace.is_empty());
        parsed += 1;
    }
    Ok(())
}
