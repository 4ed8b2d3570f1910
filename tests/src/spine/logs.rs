//! The log: its lines, and that a stalled reader cannot stop the server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use acteon_services::{Kafka, eventually};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::action;
use crate::harness::{Producer, Receiver, Server};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Two providers: one writes to the log, one to the receiver.
fn config(receiver: &Receiver) -> String {
    format!(
        "[log]\nlevel = \"debug\"\n\n[[providers]]\nname = \"console\"\ntype = \"log\"\n\n\
         [[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    )
}

async fn writing_to(receiver: &Receiver, out: impl Into<OwnedFd>) -> Server {
    let mut server = Server::prepare(&config(receiver), &[]);
    server.launch_writing_to(out);
    server.until_healthy().await;
    server
}

/// Logs `lines` lines of 4 KiB or more.
async fn log_long_lines(server: &Server, lines: usize) {
    let mut long = action(1, "console");
    long["payload"] = json!("x".repeat(4096));
    let batch = Value::Array(vec![long; 200]);
    for _ in 0..lines / 200 {
        let answer = server.post("/v1/dispatch/batch", &batch).await;
        let outcomes = answer.body.as_array().unwrap();
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome["Executed"].is_object()),
            "{outcomes:?}"
        );
    }
}

/// The log lines with this message, parsed.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().inspect(|line| assert_is_json(line));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == message).collect()
}

/// The value of a sample in `/metrics`, named with its labels.
async fn sample(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").await.body;
    let lines = text.as_str().unwrap().lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    values
        .next()
        .unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
}

/// Asserts that the server delivers, answers and stops as usual.
async fn goes_on(mut server: Server, receiver: &Receiver) {
    for number in 0..100 {
        let answer = server.post("/v1/dispatch", &action(number, "hook")).await;
        assert!(answer.body["Executed"].is_object(), "{answer:?}");
    }
    assert_eq!(receiver.accepted(), 100);
    for path in ["/health", "/ready"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    server.terminate();
    let ended = timeout(TIMEOUT, server.ended()).await;
    assert!(ended.expect("it ends in time").success());
}

fn assert_is_json(line: &str) {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    // A duplicate key would be lost in `value`.
    assert_eq!(value.to_string(), line);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_log_reader_stalls_only_the_log() {
    let receiver = Receiver::accepting().await;
    let (mut reader, writer) = io::pipe().unwrap();
    let server = writing_to(&receiver, writer).await;
    log_long_lines(&server, 4000).await;
    let dropped = "acteon_log_lines_dropped_total{reason=\"queue_full\"}";
    assert!(sample(&server, dropped).await > 0.0);
    goes_on(server, &receiver).await;
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    let (whole, _cut_off) = read.rsplit_once('\n').unwrap();
    whole.lines().for_each(assert_is_json);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_again_goes_on_and_says_how_many_lines_are_missing() {
    let receiver = Receiver::accepting().await;
    let (reader, writer) = io::pipe().unwrap();
    let server = writing_to(&receiver, writer).await;
    log_long_lines(&server, 4000).await;
    let reading = tokio::task::spawn_blocking(|| {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        let lines: Vec<_> = lines.inspect(|line| assert_is_json(line)).collect();
        lines
    });
    let dropped = "acteon_log_lines_dropped_total{reason=\"queue_full\"}";
    let dropped = sample(&server, dropped).await;
    goes_on(server, &receiver).await;
    let lines = timeout(TIMEOUT, reading).await.unwrap().unwrap();
    let reported = lines
        .iter()
        .filter(|line| line.contains("log lines were dropped"));
    let reported: f64 = reported
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["lines"]
                .as_f64()
                .unwrap()
        })
        .sum();
    assert!(reported >= dropped, "{reported} of {dropped}");
    assert!(
        lines.last().unwrap().contains("ended"),
        "{:?}",
        lines.last()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_log_loses_only_its_lines() {
    let receiver = Receiver::accepting().await;
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let server = writing_to(&receiver, writer).await;
    log_long_lines(&server, 200).await;
    let counted = async || {
        sample(
            &server,
            "acteon_log_lines_dropped_total{reason=\"write_failed\"}",
        )
        .await
    };
    eventually(TIMEOUT, counted, |lines| *lines >= 200.0).await;
    goes_on(server, &receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk_costs_its_lines_only() {
    let receiver = Receiver::accepting().await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = writing_to(&receiver, full).await;
    log_long_lines(&server, 200).await;
    goes_on(server, &receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_lines_say_what_runs_where_and_with_which_promises() {
    let server = Server::start("[server]\nhost = \"0.0.0.0\"\n", &[]).await;
    let log = async || server.log();
    let log = eventually(TIMEOUT, log, |log| log.contains("without authentication")).await;
    let starting = &lines(&log, "starting")[0];
    let config = starting["config"].as_str().unwrap();
    assert!(
        config.starts_with('/') && config.ends_with("/acteon.toml"),
        "{config}"
    );
    assert_eq!(starting["version"], env!("CARGO_PKG_VERSION"));
    let started = &lines(&log, "started")[0];
    let address = started["address"].as_str().unwrap();
    assert!(address.starts_with("0.0.0.0:"), "{address}");
    assert_eq!(started["admin_address"], address);
    assert_eq!(started["state"], "memory");
    let forgets = &lines(
        &log,
        "dedup records and dead letters do not outlive the process",
    )[0];
    assert_eq!(forgets["level"], "WARN");
    let open = "listening beyond loopback without authentication: anyone who can reach the address has full access";
    let open = lines(&log, open);
    assert_eq!(open.len(), 1);
    assert_eq!(
        (&open[0]["level"], &open[0]["address"]),
        (&json!("WARN"), &started["address"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_there_is_no_word_of_authentication() {
    let mut server = Server::start("", &[]).await;
    server.terminate();
    assert!(server.ended().await.success());
    let log = server.log();
    assert_eq!(
        lines(&log, "ended").len(),
        1,
        "the last line is written: {log}"
    );
    assert!(!log.contains("authentication"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_says_why_and_logs_nothing() {
    let running = Server::start("", &[]).await;
    let config = format!("[admin]\nport = {}\n", running.port());
    let mut second = Server::prepare(&config, &[]);
    second.launch();
    assert_eq!(second.ended().await.code(), Some(1));
    let said = second.log();
    let expected = format!("admin.port: cannot listen on 127.0.0.1:{}", running.port());
    assert!(said.starts_with("acteon.toml:2:8: "), "{said}");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_logged_once_and_so_is_its_breaker() {
    let receiver = Receiver::replying(|_| Some(StatusCode::SERVICE_UNAVAILABLE)).await;
    let config = config(&receiver).replace("debug", "info");
    let config = format!("{config}max_retries = 0\n");
    let mut server = Server::start(&config, &[]).await;
    for number in 0..30 {
        server.post("/v1/dispatch", &action(number, "hook")).await;
    }
    server.terminate();
    assert!(server.ended().await.success());
    let log = server.log();
    let failing = lines(&log, "deliveries fail");
    assert_eq!(failing.len(), 1, "{log}");
    let line = &failing[0];
    assert_eq!(
        (&line["level"], &line["provider"], &line["failures"]),
        (&json!("WARN"), &json!("hook"), &json!(1))
    );
    assert!(!line["action_id"].as_str().unwrap().is_empty());
    assert_eq!(line["code"], "EXECUTION_FAILED");
    assert!(line["reason"].as_str().unwrap().contains("503"), "{line}");
    let opens = lines(
        &log,
        "the breaker opened: the provider gets no calls until the next probe",
    );
    assert_eq!(opens.len(), 1, "{log}");
    assert_eq!(opens[0]["provider"], "hook");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dead_letter_is_a_warning_with_its_action_its_code_and_its_reason() {
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, 1).await;
    let config = super::kafka::config(kafka, producer.topic(), &receiver, "");
    let server = Server::start(&config, &[]).await;
    let mut undeliverable = action(7, "missing");
    undeliverable["id"] = json!("the-action");
    producer.send("key", b"{broken");
    producer.send("key", undeliverable.to_string().as_bytes());
    producer.flush();
    server.until_counted("dead_lettered", 2, TIMEOUT).await;
    let log = async || server.log();
    let both = |log: &String| lines(log, "a dead letter").len() == 2;
    let log = eventually(TIMEOUT, log, both).await;
    let letters = lines(&log, "a dead letter");
    assert!(
        letters.iter().all(|line| line["level"] == "WARN"),
        "{letters:?}"
    );
    let of_kind = |kind| letters.iter().find(|line| line["kind"] == kind).unwrap();
    let exhausted = of_kind("exhausted");
    assert_eq!(
        (&exhausted["action_id"], &exhausted["code"]),
        (&json!("the-action"), &json!("PROVIDER_NOT_FOUND"))
    );
    assert_eq!(exhausted["reason"], "no provider is named \"missing\"");
    let poison = of_kind("poison");
    assert_eq!(poison["code"], "INVALID_ACTION");
    assert!(
        poison["source"].as_str().unwrap().starts_with("kafka:"),
        "{poison}"
    );
}
