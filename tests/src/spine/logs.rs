//! The log: whoever reads it, or does not, the server goes on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use acteon_services::eventually;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::action;
use crate::harness::{Receiver, Server};

const PATIENCE: Duration = Duration::from_secs(30);

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

/// The value of a sample in `/metrics`, named with its labels.
async fn sample(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").await.body;
    let lines = text.as_str().unwrap().lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    values
        .next()
        .unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
}

/// It delivers, answers and ends as if nothing were.
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
    let ended = timeout(PATIENCE, server.ended()).await;
    assert!(ended.expect("it ends in time").success());
}

fn assert_is_json(line: &str) {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    // Keys that come twice are one in a value.
    assert_eq!(value.to_string(), line);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_log_who_stalls_stalls_nothing_else() {
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
    let lines = timeout(PATIENCE, reading).await.unwrap().unwrap();
    let told = lines
        .iter()
        .filter(|line| line.contains("log lines were dropped"));
    let told: f64 = told
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["lines"]
                .as_f64()
                .unwrap()
        })
        .sum();
    assert!(told >= dropped, "{told} of {dropped}");
    assert!(
        lines.last().unwrap().contains("ended"),
        "{:?}",
        lines.last()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_costs_its_lines_only() {
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
    eventually(PATIENCE, counted, |lines| *lines >= 200.0).await;
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
