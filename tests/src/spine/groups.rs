//! Groups in a file, over the real binary, which is killed as they are filled and flushed. Each member is in one summary,
//! and a repeated summary has the same key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acteon_services::{Kafka, eventually};
use parking_lot::Mutex;
use rand::RngExt;
use serde_json::{Value, json};

use super::action;
use super::kafka::{PARTITIONS, config as reading, seeded, until_no_lag};
use super::sqlite::{SECONDS, config, named, send};
use crate::harness::{Producer, Receiver, Server};

const KILLS: u64 = 5;

/// Actions of one shop make a group.
const BY_SHOP: &str = "
rules:
  - name: by-shop
    condition: { all: [] }
    action:
      type: group
      group_by: [payload.shop]
      group_wait_seconds: 1
      group_interval_seconds: 1
      provider: hook
";

/// Half of the kills come as actions arrive, the others as summaries are delivered.
#[tokio::test(flavor = "multi_thread")]
async fn members_over_http_are_in_one_summary_each_although_the_server_is_killed() {
    const EACH: u64 = 400;
    let receiver = Receiver::accepting().await;
    let mut server = Server::start(&config(&receiver), &[("rules.yaml", BY_SHOP)]).await;
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    for kill in 1..=KILLS {
        let before = receiver.accepted();
        let mut callers = send(&server, (named, (0..kill * EACH).collect()), &confirmed);
        let enough = ((kill - 1) * EACH + EACH / 3) as usize;
        let count = async || confirmed.lock().len();
        eventually(SECONDS, count, |count| *count >= enough).await;
        if kill.is_multiple_of(2) {
            let count = async || receiver.accepted();
            eventually(SECONDS, count, |count| *count > before).await;
        }
        server.kill();
        while callers.join_next().await.is_some() {}
        server.launch();
        server.until_healthy().await;
    }
    let all = KILLS * EACH;
    while confirmed.lock().len() < all as usize {
        let mut callers = send(&server, (named, (0..all).collect()), &confirmed);
        while callers.join_next().await.is_some() {}
    }
    until_flushed(&server).await;
    assert_each_in_one_summary(&receiver, all);
}

/// A killed server reads records again that have joined before. Their positions are their ids.
/// `ACTEON_TEST_GROUPED=50000` takes that many actions, into groups of a hundred.
#[tokio::test(flavor = "multi_thread")]
async fn members_over_kafka_are_in_one_summary_each_although_the_server_is_killed() {
    let given = std::env::var("ACTEON_TEST_GROUPED").ok();
    let all: u64 = given.map_or(5_000, |all| all.parse().unwrap());
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, PARTITIONS).await;
    let state = "[pipeline]\nlease_seconds = 2\n[state]\nbackend = \"sqlite\"\n";
    let config = reading(kafka, producer.topic(), &receiver, state);
    let mut server = Server::prepare(&config, &[("rules.yaml", BY_SHOP)]);
    let mut chance = seeded();
    let part = all / KILLS;
    for kill in 1..=KILLS {
        for number in (kill - 1) * part..kill * part {
            let mut action = action(number, "hook");
            action["payload"]["shop"] = json!(number % (all / 100));
            producer.send(&number.to_string(), action.to_string().as_bytes());
        }
        producer.flush();
        let before = receiver.accepted();
        server.launch();
        server.until_healthy().await;
        let joined = chance.random_range(1..part);
        server.until_counted("dispatched", joined, SECONDS).await;
        if kill.is_multiple_of(2) {
            let flushed = before + chance.random_range(1..all as usize / 200);
            let count = async || receiver.accepted();
            eventually(SECONDS, count, |count| *count > flushed).await;
        }
        server.kill();
    }
    server.launch();
    server.until_healthy().await;
    until_no_lag(kafka, producer.topic()).await;
    until_flushed(&server).await;
    assert_each_in_one_summary(&receiver, KILLS * part);
}

/// Waits until every group is closed.
async fn until_flushed(server: &Server) {
    eventually(
        SECONDS,
        async || open_groups(server).await,
        |open| *open == 0,
    )
    .await;
}

/// The number of groups that are not closed, on all pages.
async fn open_groups(server: &Server) -> usize {
    let mut open = 0;
    let mut path = "/v1/groups?limit=1000".to_owned();
    loop {
        let page = server.get(&path).await.body;
        let groups = page["groups"].as_array().expect("a page");
        let is_open = |group: &&Value| group["state"] != "notified";
        open += groups.iter().filter(is_open).count();
        let Some(next) = page["next_cursor"].as_str() else {
            return open;
        };
        path = format!("/v1/groups?limit=1000&cursor={next}");
    }
}

/// The members are the orders from 0 up to `all`.
fn assert_each_in_one_summary(receiver: &Receiver, all: u64) {
    let mut summaries: BTreeMap<String, Value> = BTreeMap::new();
    let deliveries = receiver.deliveries();
    for delivery in &deliveries {
        let payload = &delivery.action["payload"];
        assert_eq!(payload["omitted"], 0, "{payload}");
        let events = &payload["events"];
        let first = summaries.entry(delivery.idempotency_key.clone());
        assert_eq!(first.or_insert_with(|| events.clone()), events);
    }
    let events = summaries.values().filter_map(Value::as_array).flatten();
    let mut members: Vec<_> = events.filter_map(|event| event["order"].as_u64()).collect();
    members.sort_unstable();
    assert!(
        members.iter().copied().eq(0..all),
        "{} members of {all}",
        members.len()
    );
    let repeated = deliveries.len() - summaries.len();
    println!(
        "{all} members in {} summaries, {repeated} repeated",
        summaries.len()
    );
}
