//! One topic feeds several providers, each with the protocol of its service: every action arrives once, and a service
//! that asks for a pause delays its own actions only.

use std::time::Duration;

use acteon_services::{Kafka, Nats, PagerDutyServer, Rabbit, SlackServer, eventually};
use serde_json::{Value, json};

use crate::harness::{Producer, Receiver, Server};

const TIMEOUT: Duration = Duration::from_secs(60);
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
const ONCE: &str = "rules: [{ name: once, condition: { all: [] }, action: { type: deduplicate } }]";

fn action(provider: &str, payload: &Value) -> String {
    let action = json!({
        "namespace": "shop", "tenant": "acme", "provider": provider, "action_type": "order_paid",
        "dedup_key": format!("order-7/{provider}"), "payload": payload,
    });
    action.to_string()
}

/// A stream and a queue that take what is paid.
async fn brokers() -> (Nats, Rabbit) {
    let nats = Nats::start().await.unwrap();
    let stream = nats.create_stream("PAID", "paid.>", Default::default());
    stream.await.unwrap();
    let rabbit = Rabbit::start().await.unwrap();
    let queue = rabbit.create_queue("shop", "paid", "paid.#", Default::default());
    queue.await.unwrap();
    (nats, rabbit)
}

/// The stream and the queue have one action with this payload.
async fn on_both_brokers(nats: &Nats, rabbit: &Rabbit, payload: &Value) {
    let mut messages = nats.messages("PAID", 1).await.unwrap();
    messages.extend(rabbit.messages("paid", 1).await.unwrap());
    for message in messages {
        assert_eq!(message.address, "paid.acme");
        assert_eq!(message.json().unwrap()["payload"], *payload);
    }
    assert_eq!(nats.stored("PAID").await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_topic_reaches_each_service_in_its_own_protocol() {
    let slack = SlackServer::start().await.unwrap();
    let account = PagerDutyServer::start().await.unwrap();
    let receiver = Receiver::accepting().await;
    let (nats, rabbit) = brokers().await;
    let kafka = Kafka::shared().await;
    kafka.create_topic("paid", 1).await.unwrap();
    let producer = Producer::to_new_topic(kafka, 1).await;
    let local = "allow_cidrs = [\"127.0.0.0/8\"]";
    let config = format!(
        "rules.directory = \"{{rules}}\"\n\n\
         [[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\n\
         group_id = \"{topic}-group\"\n\n\
         [[providers]]\nname = \"team\"\ntype = \"slack\"\ntoken = \"{token}\"\ndefault_channel = \"C0ALERTS\"\n\
         api_base_url = \"{slack}\"\n{local}\n\n\
         [[providers]]\nname = \"oncall\"\ntype = \"pagerduty\"\nrouting_key = \"{ROUTING_KEY}\"\n\
         api_base_url = \"{pagerduty}\"\n{local}\n\n\
         [[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{url}\"\n{local}\n\n\
         [[providers]]\nname = \"topic\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"paid\"\n\n\
         [[providers]]\nname = \"stream\"\ntype = \"nats\"\nurl = \"{nats}\"\nsubject = \"paid.{{{{ tenant }}}}\"\n\n\
         [[providers]]\nname = \"queue\"\ntype = \"amqp\"\nurl = \"{rabbit}\"\nexchange = \"shop\"\n\
         routing_key = \"paid.{{{{ tenant }}}}\"\n",
        brokers = kafka.bootstrap(),
        topic = producer.topic(),
        token = slack.token(),
        slack = slack.api_base_url(),
        pagerduty = account.api_base_url(),
        url = receiver.url(),
        nats = nats.url(),
        rabbit = rabbit.url(),
    );
    let _server = Server::start(&config, &[("once.yaml", ONCE)]).await;
    slack.limit("C0ALERTS", 10);
    let text = json!({"text": "Order 7 is paid"});
    let other = json!({"text": "Order 7 is paid", "channel": "C0OPS"});
    for (provider, payload) in [
        ("team", &text),
        ("hook", &text),
        ("oncall", &json!({"summary": "s"})),
        ("topic", &text),
        ("stream", &text),
        ("queue", &text),
    ] {
        producer.send("7", action(provider, payload).as_bytes());
    }
    producer.flush();
    let limited = async || slack.requests().len();
    eventually(TIMEOUT, limited, |requests| *requests >= 1).await;
    let more = action("team", &other).replace("order-7", "order-8");
    producer.send("8", more.as_bytes());
    producer.flush();
    let messages = eventually(TIMEOUT, async || slack.messages(), |all| all.len() == 2).await;
    let channels: Vec<_> = messages.iter().map(|one| &one["channel"]).collect();
    assert_eq!(
        channels,
        ["C0OPS", "C0ALERTS"],
        "the other channel is not paused"
    );
    assert_eq!(slack.requests().len(), 3);
    eventually(TIMEOUT, async || receiver.accepted(), |count| *count == 1).await;
    let alerts = eventually(TIMEOUT, async || account.alerts(), |all| !all.is_empty()).await;
    assert_eq!(alerts[0].dedup_key, "order-7/oncall");
    assert_eq!(account.events().len(), 1);
    on_both_brokers(&nats, &rabbit, &text).await;
    let record = async || producer.written("paid");
    eventually(TIMEOUT, record, |written| *written == 1).await;
}
