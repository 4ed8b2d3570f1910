//! Exchanges and queues of a broker, and the messages in them.

use anyhow::Context;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

use super::Rabbit;
use crate::stored::StoredMessage;

/// How many messages the reader has on its way.
const PREFETCH: u16 = 1000;

impl Rabbit {
    /// A connection as the user `guest`.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let properties = ConnectionProperties::default();
        Ok(Connection::connect(&self.url(), properties).await?)
    }

    /// Creates a durable queue with these arguments, and binds it to a durable topic exchange.
    pub async fn create_queue(
        &self,
        exchange: &str,
        queue: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> anyhow::Result<()> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default;
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, none())
            .await?;
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(queue.into(), durable, arguments)
            .await?;
        let options = QueueBindOptions::default();
        let (queue, exchange, key) = (queue.into(), exchange.into(), routing_key.into());
        channel
            .queue_bind(queue, exchange, key, options, none())
            .await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    }

    /// The first `count` messages of a queue. Waits for them and takes them out of it.
    pub async fn messages(&self, queue: &str, count: usize) -> anyhow::Result<Vec<StoredMessage>> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let all = read(&channel, queue, count).await?;
        connection.close(200, "OK".into()).await?;
        Ok(all)
    }
}

async fn read(channel: &Channel, queue: &str, count: usize) -> anyhow::Result<Vec<StoredMessage>> {
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let arguments = FieldTable::default();
    let mut messages = channel
        .basic_consume(queue.into(), "reader".into(), options, arguments)
        .await?;
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let message = messages.next().await.context("the queue is gone")??;
        message.ack(BasicAckOptions::default()).await?;
        all.push(stored(message));
    }
    Ok(all)
}

fn stored(message: lapin::message::Delivery) -> StoredMessage {
    let properties = message.properties;
    let mut headers = std::collections::BTreeMap::new();
    let table = properties.headers().as_ref().map(FieldTable::inner);
    for (name, value) in table.into_iter().flatten() {
        if let AMQPValue::LongString(value) = value {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.insert(name.as_str().to_lowercase(), value);
        }
    }
    let mut property = |name: &str, value: Option<String>| {
        headers.extend(value.map(|value| (name.to_owned(), value)));
    };
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    property("content-type", text(properties.content_type()));
    property("message-id", text(properties.message_id()));
    property("type", text(properties.kind()));
    let number = |value: &dyn ToString| value.to_string();
    property(
        "delivery-mode",
        properties.delivery_mode().as_ref().map(|mode| number(mode)),
    );
    property(
        "timestamp",
        properties.timestamp().as_ref().map(|time| number(time)),
    );
    StoredMessage {
        address: message.routing_key.to_string(),
        headers,
        body: message.data.into(),
    }
}
