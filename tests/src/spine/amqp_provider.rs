//! Runs the examples of the guide about AMQP as a provider, and a stream from a topic to a queue whose broker is killed
//! meanwhile.

use std::time::Duration;

use acteon_services::{Kafka, Rabbit, StoredMessage};

use super::readme::marked;
use crate::harness::{Producer, Server};

const PAGE: &str = "docs/guide/amqp-provider.md";
const TIMEOUT: Duration = Duration::from_secs(180);

/// A broker with the exchange `orders` and the queue `orders-eu`.
async fn started() -> Rabbit {
    let rabbit = Rabbit::start().await.unwrap();
    let created = rabbit.create_queue("orders", "orders-eu", "orders.#", Default::default());
    created.await.unwrap();
    rabbit
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_publishes_a_message() {
    let rabbit = started().await;
    let config = marked(PAGE, "configuration").text;
    let address = rabbit.address().replace("127.0.0.1", "localhost");
    let config = config.replace("localhost:5672", &address);
    let server = Server::start(&config, &[]).await;
    let folder = server.rules().parent().unwrap().to_owned();
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let expected =
        format!("provider `orders`: connected to {address}, and the exchange `orders` exists");
    assert!(said.lines().any(|line| line == expected), "{said}");
    let url = server.url("");
    let replaced = [("http://127.0.0.1:8080", url.as_str())];
    marked(PAGE, "publish").run(&folder, &replaced).await;
    let messages = rabbit.messages("orders-eu", 1).await.unwrap();
    assert_eq!(messages[0].address, "orders.eu");
    assert_eq!(order(&messages[0]), 4711);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_of_a_topic_is_in_the_queue_although_its_broker_is_killed_meanwhile() {
    const COUNT: u64 = 2000;
    let rabbit = started().await;
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
type = "amqp"
url = "{}"
exchange = "orders"
routing_key = "orders.{{{{ payload.order }}}}"
body = "payload"
max_concurrent = 50
timeout_seconds = 10
"#,
        kafka.bootstrap(),
        rabbit.url(),
        topic = producer.topic(),
    );
    for number in 0..COUNT {
        let action = super::action(number, "leaving");
        producer.send(&number.to_string(), action.to_string().as_bytes());
    }
    producer.flush();
    let server = Server::start(&config, &[]).await;
    server.until_counted("executed", 50, TIMEOUT).await;
    rabbit.stop().await.unwrap();
    rabbit.restart().await.unwrap();
    server.until_counted("executed", COUNT, TIMEOUT).await;
    // One that was stored and not confirmed is there twice.
    let messages = rabbit.messages("orders-eu", COUNT as usize).await.unwrap();
    let mut orders: Vec<_> = messages.iter().map(order).collect();
    let twice = {
        orders.sort_unstable();
        orders.dedup();
        COUNT as usize - orders.len()
    };
    let more = rabbit.messages("orders-eu", twice).await.unwrap();
    orders.extend(more.iter().map(order));
    orders.sort_unstable();
    orders.dedup();
    assert!(twice <= 50, "{twice} twice");
    assert_eq!(orders.len() as u64, COUNT);
}

fn order(message: &StoredMessage) -> u64 {
    message.json().unwrap()["order"].as_u64().unwrap()
}
