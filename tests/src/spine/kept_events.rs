//! Events in a file: a server that was killed knows them all, inhibits at once, and makes each timeout once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acteon_services::eventually;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::sqlite::{SECONDS, config, send};
use crate::harness::{Receiver, Server};

const KILLS: u64 = 3;
const EACH: u64 = 100;
const RULES: &str = include_str!("../../../docs/cookbook/cluster-hides-pods/rules.yaml");
const MACHINE: &str = r#"
[[state_machines]]
name = "cluster"
initial_state = "unknown"
states = ["unknown", "down", "up"]
transitions = [
    { from = "unknown", to = "down", on_transition = { notify = true } },
    { from = "down", to = "up", on_transition = { notify = true } },
]
timeouts = [{ state = "down", after_seconds = 10, transition_to = "up", since = "entered" }]
"#;

fn alert(action_type: &str, number: u64) -> Value {
    let name = format!("cluster-{number}");
    json!({
        "namespace": "ops",
        "tenant": "acme",
        "provider": "hook",
        "action_type": action_type,
        "fingerprint": name,
        "metadata": {"cluster": name},
        "payload": {},
    })
}

/// An alert that cluster `number` is down.
fn down(number: u64) -> Value {
    let mut alert = alert("cluster_alert", number);
    alert["id"] = json!(format!("down-{number}"));
    alert["status"] = json!("down");
    alert
}

async fn pod_alert_is(server: &Server, number: u64, outcome: &str) {
    let alert = alert("pod_alert", number);
    let body = server.post("/v1/dispatch", &alert).await.body;
    assert!(body.get(outcome).is_some(), "{body}");
}

async fn are_any_down(server: &Server) -> bool {
    let listed = server
        .get("/v1/events?namespace=ops&tenant=acme&status=down")
        .await;
    let events = listed.body["events"].as_array();
    !events.unwrap_or_else(|| panic!("{listed:?}")).is_empty()
}

/// How many events have how many different notices. A repeated one has the same key.
fn kinds_of_notices(receiver: &Receiver) -> BTreeMap<usize, usize> {
    let mut events = BTreeMap::new();
    for keys in receiver.keys_by("fingerprint").into_values() {
        let different = keys.into_iter().collect::<BTreeSet<_>>();
        *events.entry(different.len()).or_default() += 1;
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_a_file_inhibit_and_time_out_although_the_server_is_killed() {
    let receiver = Receiver::accepting().await;
    let config = config(&receiver) + MACHINE;
    let mut server = Server::start(&config, &[("rules.yaml", RULES)]).await;
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    for kill in 1..=KILLS {
        let mut callers = send(&server, (down, (0..kill * EACH).collect()), &confirmed);
        let enough = ((kill - 1) * EACH + EACH / 3) as usize;
        let count = async || confirmed.lock().len();
        eventually(SECONDS, count, |count| *count >= enough).await;
        server.kill();
        while callers.join_next().await.is_some() {}
        server.launch();
        server.until_healthy().await;
    }
    let all = (KILLS + 1) * EACH;
    while confirmed.lock().len() < all as usize {
        let mut callers = send(&server, (down, (0..all).collect()), &confirmed);
        while callers.join_next().await.is_some() {}
    }
    server.kill();
    server.launch();
    server.until_healthy().await;
    let last = KILLS * EACH..all;
    for number in last.clone() {
        pod_alert_is(&server, number, "Suppressed").await;
    }
    let ask = async || are_any_down(&server).await;
    eventually(2 * SECONDS, ask, |are_any| !are_any).await;
    let ask = async || kinds_of_notices(&receiver);
    let beginning_and_end = BTreeMap::from([(2, all as usize)]);
    eventually(SECONDS, ask, |kinds| *kinds == beginning_and_end).await;
    for number in last {
        pod_alert_is(&server, number, "Executed").await;
    }
}
