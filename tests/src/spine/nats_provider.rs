//! Runs the examples of the guide about NATS as a provider, and a stream from a topic to a stream whose server is killed
//! meanwhile.

use std::time::Duration;

use acteon_services::{Kafka, Nats, StoredMessage};

use super::readme::marked;
use crate::harness::{Producer, Server};

const PAGE: &str = "docs/guide/nats-provider.md";
const TIMEOUT: Duration = Duration::from_secs(120);

/// A server with the stream `ORDERS`.
async fn started() -> Nats {
    let nats = Nats::start().await.unwrap();
    let created = nats.create_stream("ORDERS", "orders.>", Default::default());
    created.await.unwrap();
    nats
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_publishes_a_message() {
    let nats = started().await;
    let config = marked(PAGE, "configuration").text;
    let address = nats.address().replace("127.0.0.1", "localhost");
    let config = config.replace("localhost:4222", &address);
    let server = Server::start(&config, &[]).await;
    let folder = server.rules().parent().unwrap().to_owned();
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let expected = format!(
        "provider `orders`: connected to {address}, and the stream `ORDERS` takes its messages"
    );
    assert!(said.lines().any(|line| line == expected), "{said}");
    let url = server.url("");
    let replaced = [("http://127.0.0.1:8080", url.as_str())];
    marked(PAGE, "publish").run(&folder, &replaced).await;
    let messages = nats.messages("ORDERS", 1).await.unwrap();
    assert_eq!(messages[0].address, "orders.eu");
    assert_eq!(order(&messages[0]), 4711);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_of_a_topic_are_in_the_stream_once_although_its_server_is_killed_meanwhile() {
    const COUNT: u64 = 2000;
    let nats = started().await;
    let kafka = Kafka::shared().await;
    let producer = Producer::to_new_topic(kafka, 3).await;
    let config = format!(
        r#"
[redelivery]
schedule_seconds = [1]

[circuit_breaker]
recovery_timeout_seconds = 1

[[sources]]
name = "orders"
type = "kafka"
brokers = "{}"
topics = ["{topic}"]
group_id = "{topic}-group"

[[providers]]
name = "leaving"
type = "nats"
url = "{}"
subject = "orders.{{{{ payload.order }}}}"
body = "payload"
max_concurrent = 50
timeout_seconds = 5
"#,
        kafka.bootstrap(),
        nats.url(),
        topic = producer.topic(),
    );
    for number in 0..COUNT {
        let action = super::action(number, "leaving");
        producer.send(&number.to_string(), action.to_string().as_bytes());
    }
    producer.flush();
    let server = Server::start(&config, &[]).await;
    server.until_counted("executed", 50, TIMEOUT).await;
    nats.stop().await.unwrap();
    nats.restart().await.unwrap();
    server.until_counted("executed", COUNT, TIMEOUT).await;
    let messages = nats.messages("ORDERS", COUNT as usize).await.unwrap();
    let mut orders: Vec<_> = messages.iter().map(order).collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len() as u64, COUNT);
    let stored = nats.stored("ORDERS").await.unwrap();
    assert_eq!(stored, COUNT, "none is there twice");
}

fn order(message: &StoredMessage) -> u64 {
    message.json().unwrap()["order"].as_u64().unwrap()
}
