//! Events over Kafka: while a cluster is down, the alerts of its pods are suppressed, and flow again once it is up.

use std::time::Duration;

use acteon_services::Kafka;
use serde_json::{Value, json};

use super::kafka::config;
use crate::harness::{Producer, Receiver, Server};

const TIMEOUT: Duration = Duration::from_secs(60);
const PODS: u64 = 20;
const RULES: &str = include_str!("../../../docs/cookbook/cluster-hides-pods/rules.yaml");
const MACHINES: &str = include_str!("../../../docs/cookbook/cluster-hides-pods/acteon.toml");

fn alert(action_type: &str, name: &str, status: Option<&str>) -> Value {
    json!({
        "namespace": "ops",
        "tenant": "acme",
        "provider": "hook",
        "action_type": action_type,
        "dedup_key": name,
        "status": status,
        "metadata": {"cluster": "eu-1"},
        "payload": {"name": name},
    })
}

/// Sends an alert of each pod, under names that begin with `when`.
fn send_pods(producer: &Producer, when: &str) {
    for pod in 0..PODS {
        let name = format!("{when} {pod}");
        let record = alert("pod_alert", &name, None).to_string();
        producer.send(&name, record.as_bytes());
    }
    producer.flush();
}

fn send_cluster(producer: &Producer, status: &str) {
    let record = alert("cluster_alert", status, Some(status)).to_string();
    producer.send("eu-1", record.as_bytes());
    producer.flush();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_of_twenty_pods_are_suppressed_while_their_cluster_is_down() {
    assert_suppresses(MACHINES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_state_in_a_file_they_are_suppressed_too() {
    let more = format!("[state]\nbackend = \"sqlite\"\n{MACHINES}");
    assert_suppresses(&more).await;
}

/// With this configuration besides the source and the provider.
async fn assert_suppresses(more: &str) {
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, 3).await;
    let config = config(kafka, producer.topic(), &receiver, more);
    let server = Server::start(&config, &[("rules.yaml", RULES)]).await;
    let counted = async |name, count| server.until_counted(name, count, TIMEOUT).await;

    send_pods(&producer, "before");
    counted("executed", PODS).await;
    send_cluster(&producer, "down");
    counted("state_changed", 1).await;
    send_pods(&producer, "while down");
    counted("suppressed", PODS).await;
    send_cluster(&producer, "up");
    counted("state_changed", 2).await;
    send_pods(&producer, "after");
    let counters = counted("executed", 2 * PODS).await;
    assert_eq!(counters["suppressed"], PODS);

    let keys = receiver.keys_by("dedup_key");
    let of = |when: &str| {
        let names = keys.keys().filter(|name| name.starts_with(when));
        names.count() as u64
    };
    assert_eq!(
        [of("before"), of("while down"), of("after")],
        [PODS, 0, PODS]
    );
    assert_eq!([of("down"), of("up")], [1, 1], "the notices of the cluster");
    assert!(keys.values().all(|keys| keys.len() == 1), "each once");

    let listed = server.get("/v1/events?namespace=ops&tenant=acme").await;
    let event = &listed.body["events"][0];
    assert_eq!(event["state"], "up", "{}", listed.body);
    let records = server
        .get("/v1/audit?matched_rule=its-cluster-is-down&limit=1")
        .await;
    assert_eq!(records.body["total"], PODS);
}
