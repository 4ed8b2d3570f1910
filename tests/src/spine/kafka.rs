//! The binary consumes a topic: each key once, undecodable records kept, and nothing lost when the process is killed or
//! the provider fails.

use std::collections::HashSet;
use std::time::Duration;

use acteon_services::{Kafka, eventually};
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use tokio::time::Instant;

use super::{TEN_RULES, action};
use crate::harness::{Producer, Receiver, Server};

const TIMEOUT: Duration = Duration::from_secs(240);
pub(super) const PARTITIONS: i32 = 6;
/// How long a settled record may wait for its commit: the interval of the source, plus the request to the broker.
const COMMIT_WINDOW: Duration = Duration::from_millis(250);

pub(super) fn config(kafka: &Kafka, topic: &str, receiver: &Receiver, more: &str) -> String {
    format!(
        r#"
[log]
level = "warn"

[rules]
directory = "{{rules}}"

[audit]
buffer_records = 20000

[[sources]]
name = "orders"
type = "kafka"
brokers = "{brokers}"
topics = ["{topic}"]
group_id = "{topic}-group"

[[providers]]
name = "hook"
type = "webhook"
url = "{url}"
allow_cidrs = ["127.0.0.0/8"]

{more}
"#,
        brokers = kafka.bootstrap(),
        url = receiver.url(),
    )
}

/// Reproducible random numbers: `ACTEON_TEST_SEED` takes the seed that a run has printed.
pub(super) fn seeded() -> StdRng {
    let given = std::env::var("ACTEON_TEST_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(rand::random);
    println!("ACTEON_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

pub(super) async fn until_no_lag(kafka: &Kafka, topic: &str) {
    let group = format!("{topic}-group");
    let ask = async || kafka.lag(&group).await.unwrap_or(u64::MAX);
    eventually(TIMEOUT, ask, |lag| *lag == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_of_100_000_records_is_delivered_once_and_undecodable_ones_are_kept() {
    const RECORDS: u64 = 100_000;
    const UNDECODABLE: u64 = 100;
    const DOUBLED: u64 = 10_000;
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, PARTITIONS).await;
    let unique = RECORDS - UNDECODABLE - DOUBLED;
    let mut poison = HashSet::new();
    for number in 0..unique {
        let record = action(number, "hook").to_string();
        producer.send(&number.to_string(), record.as_bytes());
        if number % (unique / DOUBLED) == 0 && number / (unique / DOUBLED) < DOUBLED {
            producer.send(&number.to_string(), record.as_bytes());
        }
        if number % (unique / UNDECODABLE) == 0 && number / (unique / UNDECODABLE) < UNDECODABLE {
            let broken = format!("{{broken {number}");
            producer.send("poison", broken.as_bytes());
            poison.insert(broken);
        }
    }
    producer.flush();
    let server = Server::start(
        &config(kafka, producer.topic(), &receiver, ""),
        &[("ten.yaml", TEN_RULES)],
    )
    .await;

    let counters = server
        .until_counted("dispatched", RECORDS - UNDECODABLE, TIMEOUT)
        .await;
    assert_eq!(counters["executed"], unique);
    assert_eq!(counters["deduplicated"], DOUBLED);
    until_no_lag(kafka, producer.topic()).await;
    let keys = receiver.keys_by("dedup_key");
    assert_eq!(keys.len() as u64, unique, "each unique key arrived");
    assert!(
        keys.values().all(|keys| keys.len() == 1),
        "and arrived once"
    );

    let letters = server
        .get("/v1/dead-letters?kind=poison&limit=1000")
        .await
        .body;
    assert_eq!(letters["total"], UNDECODABLE);
    let mut kept = HashSet::new();
    for letter in letters["dead_letters"].as_array().unwrap() {
        let id = letter["id"].as_str().unwrap();
        let letter = server.get(&format!("/v1/dead-letters/{id}")).await.body;
        let bytes = BASE64_STANDARD
            .decode(letter["raw_base64"].as_str().unwrap())
            .unwrap();
        kept.insert(String::from_utf8(bytes).unwrap());
    }
    assert_eq!(kept, poison, "each with its bytes");

    let total = async |filter: &str| {
        server
            .get(&format!("/v1/audit?limit=1&{filter}"))
            .await
            .body["total"]
            .clone()
    };
    assert_eq!(total("outcome=executed").await, unique);
    assert_eq!(total("outcome=deduplicated").await, DOUBLED);
    assert_eq!(total("matched_rule=once").await, RECORDS - UNDECODABLE);
}

/// What three kills under load did to 30,000 records.
struct Killed {
    /// The deliveries beyond the first of each record.
    doubled: u64,
    /// The most that the pipeline had in flight at all kills together.
    in_flight: u64,
    /// The deliveries that were perhaps not committed at a kill.
    uncommitted: u64,
}

/// Kills a server with this state at random points of a stream. Nothing is lost, and repetitions have the same key.
async fn killed_with(state: &str) -> Killed {
    const RECORDS: u64 = 30_000;
    const KILLS: u64 = 3;
    const IN_FLIGHT: u64 = 500;
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, PARTITIONS).await;
    for number in 0..RECORDS {
        producer.send(
            &number.to_string(),
            action(number, "hook").to_string().as_bytes(),
        );
    }
    producer.flush();
    let more = format!("[pipeline]\nmax_in_flight = {IN_FLIGHT}\nlease_seconds = 2\n{state}");
    let mut server = Server::prepare(
        &config(kafka, producer.topic(), &receiver, &more),
        &[("ten.yaml", TEN_RULES)],
    );
    let mut chance = seeded();
    let mut uncommitted = 0;
    for kill in 1..=KILLS {
        // At a random point in the next part of the stream.
        let at = receiver.accepted() as u64 + chance.random_range(500..RECORDS / (KILLS + 1));
        println!("kill {kill} after {at} deliveries");
        server.launch();
        eventually(
            TIMEOUT,
            async || receiver.accepted() as u64,
            |count| *count >= at,
        )
        .await;
        server.kill();
        uncommitted += receiver.accepted_since(Instant::now() - COMMIT_WINDOW) as u64;
    }
    server.launch();
    server.until_healthy().await;
    until_no_lag(kafka, producer.topic()).await;

    let keys = receiver.keys_by("dedup_key");
    assert_eq!(keys.len() as u64, RECORDS, "nothing is lost");
    let doubled: Vec<_> = keys.values().filter(|keys| keys.len() > 1).collect();
    println!("{} of {RECORDS} came more than once", doubled.len());
    for keys in &doubled {
        assert!(
            keys.iter().all(|key| key == &keys[0]),
            "a second delivery carries another key"
        );
    }
    let killed = Killed {
        doubled: doubled.iter().map(|keys| keys.len() as u64 - 1).sum(),
        in_flight: KILLS * IN_FLIGHT,
        uncommitted,
    };
    let Killed {
        doubled, in_flight, ..
    } = killed;
    println!("{doubled} deliveries too many, {in_flight} in flight, {uncommitted} not committed");
    killed
}

/// In flight are all records not yet acknowledged: the admitted ones, and the ones delivered since the last commit.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_and_what_is_doubled_carries_the_same_key() {
    let killed = killed_with("").await;
    let in_flight = killed.in_flight + killed.uncommitted;
    let doubled = killed.doubled;
    assert!(
        doubled <= in_flight,
        "{doubled} doubled, {in_flight} were in flight"
    );
}

/// What was delivered and not committed is read again, and its dedup record is in the file.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_with_the_state_in_a_file_doubles_nothing_that_was_settled() {
    let killed = killed_with("[state]\nbackend = \"sqlite\"\n").await;
    let Killed {
        doubled, in_flight, ..
    } = killed;
    assert!(
        doubled <= in_flight,
        "{doubled} doubled, {in_flight} were in flight"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partitions_of_a_killed_instance_are_read_again_within_12_seconds() {
    const RECORDS: usize = 60;
    const TAKEOVER: Duration = Duration::from_secs(12);
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, PARTITIONS).await;
    let send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let record = action(number as u64, "hook").to_string();
            producer.send(&number.to_string(), record.as_bytes());
        }
        producer.flush();
    };
    send(0..RECORDS);
    let mut server = Server::prepare(
        &config(kafka, producer.topic(), &receiver, ""),
        &[("ten.yaml", TEN_RULES)],
    );
    server.launch();
    let received = async || receiver.keys_by("dedup_key").len();
    eventually(TIMEOUT, received, |count| *count == RECORDS).await;
    server.kill();
    let killed = Instant::now();
    send(RECORDS..2 * RECORDS);
    server.launch();
    eventually(TIMEOUT, received, |count| *count == 2 * RECORDS).await;
    let took = killed.elapsed();
    println!("taken over within {took:?}");
    assert!(took < TAKEOVER, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_source_that_is_stopped_under_load_delivers_nothing_again() {
    const RECORDS: usize = 4_000;
    const KEYS: usize = 40;
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, 2).await;
    // Every second record has the same key, which lags behind the others.
    let key = |number: usize| match number % 2 {
        0 => 0,
        _ => number % KEYS,
    };
    for number in 0..RECORDS {
        let mut action = action(number as u64, "hook");
        action["dedup_key"] = json!(format!("{:02}:{number:05}", key(number)));
        producer.send(&key(number).to_string(), action.to_string().as_bytes());
    }
    producer.flush();
    let config = config(kafka, producer.topic(), &receiver, "")
        .replace("topics =", "ordered = true\ntopics =");
    let mut server = Server::prepare(&config, &[]);
    for _ in 0..2 {
        let at = receiver.accepted() + RECORDS / 8;
        server.launch();
        let accepted = async || receiver.accepted();
        eventually(TIMEOUT, accepted, |count| *count >= at).await;
        server.terminate();
        let ended = server.ended().await;
        assert!(ended.success(), "{ended}: {}", server.log());
        println!("stopped after {} deliveries", receiver.accepted());
    }
    server.launch();
    let accepted = async || receiver.accepted();
    eventually(TIMEOUT, accepted, |count| *count >= RECORDS).await;
    until_no_lag(kafka, producer.topic()).await;
    let values = receiver.values_of("dedup_key");
    assert_eq!(values.len(), RECORDS, "nothing came again");
    for key in 0..KEYS {
        let key = format!("{key:02}:");
        let of_key = values.iter().filter(|value| value.starts_with(&key));
        assert!(of_key.is_sorted(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sources_without_a_broker_do_not_stop_http() {
    let receiver = Receiver::accepting().await;
    let source = |number| {
        format!(
            "[[sources]]\nname = \"s{number}\"\ntype = \"kafka\"\nbrokers = \"127.0.0.1:1\"\n\
             topics = [\"t{number}\"]\ngroup_id = \"g{number}\"\n"
        )
    };
    let sources: String = (0..8).map(source).collect();
    let config = format!(
        "[log]\nlevel = \"error\"\n{sources}\n[[providers]]\nname = \"hook\"\ntype = \"webhook\"\n\
         url = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    );
    let server = Server::start(&config, &[]).await;
    let metrics = async || {
        let answer = server.client().get(server.url("/metrics")).send().await;
        answer.unwrap().text().await.unwrap()
    };
    let all_reserved = format!("acteon_reserved_bytes {}", 64 << 20);
    eventually(TIMEOUT, metrics, |text| text.contains(&all_reserved)).await;
    let answer = server.post("/v1/dispatch", &action(1, "hook")).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_half_of_the_time_loses_nothing() {
    const RECORDS: u64 = 5_000;
    let kafka = Kafka::shared().await;
    let flaky = |before: u64| {
        let fails = before.is_multiple_of(2);
        Some(if fails {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        })
    };
    let receiver = Receiver::replying(flaky).await;
    let producer = Producer::to_new_topic(kafka, PARTITIONS).await;
    for number in 0..RECORDS {
        producer.send(
            &number.to_string(),
            action(number, "hook").to_string().as_bytes(),
        );
    }
    producer.flush();
    let server = Server::start(
        &config(
            kafka,
            producer.topic(),
            &receiver,
            "[circuit_breaker]\nenabled = false\n",
        ),
        &[("ten.yaml", TEN_RULES)],
    )
    .await;
    let counters = server.until_counted("dispatched", RECORDS, TIMEOUT).await;
    until_no_lag(kafka, producer.topic()).await;

    let letters = server
        .get("/v1/dead-letters?kind=exhausted&limit=1")
        .await
        .body;
    let delivered = receiver.keys_by("dedup_key");
    let buried = letters["total"].as_u64().unwrap();
    println!(
        "{} delivered, {buried} dead letters, {} requests",
        delivered.len(),
        receiver.requests()
    );
    assert_eq!(
        delivered.len() as u64 + buried,
        RECORDS,
        "delivered or kept: {counters}"
    );
    assert!(delivered.values().all(|keys| keys.len() == 1));

    if let Some(id) = letters["dead_letters"][0]["id"].as_str() {
        let replay = server
            .post(&format!("/v1/dead-letters/{id}/replay"), &json!({}))
            .await;
        assert!(replay.status.is_success(), "{replay:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_over_a_limit_is_copied_about_once_for_each_wait() {
    const BACKLOG: u64 = 600;
    let rules = "
rules:
  - { name: calm, condition: { all: [] }, action: { type: throttle, max_count: 20, window_seconds: 1 } }
";
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, 1).await;
    for number in 0..BACKLOG {
        let record = action(number, "hook").to_string();
        producer.send(&number.to_string(), record.as_bytes());
    }
    producer.flush();
    let config = config(kafka, producer.topic(), &receiver, "");
    let began = Instant::now();
    let server = Server::start(&config, &[("calm.yaml", rules)]).await;
    server.until_counted("executed", BACKLOG, TIMEOUT).await;
    let topic = |tier| format!("{}-group.orders.retry.{tier}", producer.topic());
    let tiers = ["1s", "10s", "1m", "10m", "1h"];
    let copies: Vec<i64> = tiers.map(|tier| producer.written(&topic(tier))).to_vec();
    println!("{copies:?} copies in {:?}", began.elapsed());
    // The first 20 pass at once. Some of the others are retried a little too early, and wait again.
    let all: i64 = copies.iter().sum();
    assert!((580..900).contains(&all), "{copies:?} copies");
    assert_eq!(receiver.accepted() as u64, BACKLOG);
}
