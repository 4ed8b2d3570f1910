//! The life of the process: it starts at once and without its broker, costs little when idle, and drains.

use std::fs;
use std::time::Duration;

use acteon_services::eventually;
use acteon_services::process::free_ports;
use axum::http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::action;
use crate::harness::{Receiver, Server};

/// A configuration whose broker is not there.
fn without_broker() -> String {
    let [nobody] = free_ports().unwrap();
    format!(
        "[[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"127.0.0.1:{nobody}\"\n\
         topics = [\"orders\"]\ngroup_id = \"acteon\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_healthy_in_300_ms_without_its_broker_and_says_what_is_not_ready() {
    let mut server = Server::prepare(&without_broker(), &[]);
    let start = Instant::now();
    server.launch();
    server.until_healthy().await;
    let took = start.elapsed();
    println!("healthy after {took:?}");
    assert!(took < Duration::from_millis(300), "healthy after {took:?}");
    let ready = server.get("/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    let text = ready.body.to_string();
    assert!(
        text.contains("orders"),
        "the part that is not ready is named: {text}"
    );
    let answer = server.post("/v1/dispatch", &action(1, "anything")).await;
    assert!(
        answer.body.get("Executed").is_some(),
        "HTTP works meanwhile: {answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_it_holds_less_than_50_mb_and_hardly_wakes() {
    let server = Server::start("", &[]).await;
    let status = || fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let field = |name: &str| -> u64 {
        let status = status();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let resident_kib = field("VmRSS:");
    println!("{resident_kib} KiB resident");
    assert!(resident_kib < 50 * 1024, "{resident_kib} KiB");
    let cpu_ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.process_id())).unwrap();
        let fields: Vec<_> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let (before, start) = (cpu_ticks(), Instant::now());
    let five_seconds = async || start.elapsed() > Duration::from_secs(5);
    eventually(Duration::from_secs(10), five_seconds, |passed| *passed).await;
    let used = cpu_ticks() - before;
    assert!(
        used <= 2,
        "{used} hundredths of a second of CPU in five idle seconds"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_work_in_flight_finish() {
    let receiver = Receiver::accepting().await;
    let config = format!(
        "[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    );
    let mut server = Server::start(&config, &[]).await;
    let mut callers = JoinSet::new();
    for number in 0..200 {
        let request = server.client().post(server.url("/v1/dispatch"));
        let request = request.header("content-type", "application/json");
        callers.spawn(request.body(action(number, "hook").to_string()).send());
    }
    eventually(
        Duration::from_secs(10),
        async || receiver.accepted(),
        |count| *count > 20,
    )
    .await;
    server.terminate();
    let mut executed = 0;
    while let Some(answer) = callers.join_next().await {
        // Who came too late finds a closed door or is told so; whoever was let in gets an answer.
        if let Ok(answer) = answer.unwrap()
            && answer.status() == StatusCode::OK
        {
            executed += 1;
        }
    }
    assert!(server.ended().await.success());
    assert_eq!(
        receiver.accepted(),
        executed,
        "delivered and answered are the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_it_at_once() {
    let receiver = Receiver::replying(|_| None).await;
    let config = format!(
        "[server]\nshutdown_timeout_seconds = 60\n\n\
         [[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    );
    let mut server = Server::start(&config, &[]).await;
    let mut stuck = JoinSet::new();
    let request = server.client().post(server.url("/v1/dispatch"));
    let request = request.header("content-type", "application/json");
    stuck.spawn(request.body(action(1, "hook").to_string()).send());
    eventually(
        Duration::from_secs(10),
        async || receiver.requests(),
        |count| *count == 1,
    )
    .await;
    server.terminate();
    eventually(
        Duration::from_secs(10),
        async || server.log(),
        |log| log.contains("draining"),
    )
    .await;
    server.terminate();
    let start = Instant::now();
    server.ended().await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_can_have_a_listener_of_its_own() {
    let [admin] = free_ports().unwrap();
    let server = Server::start(&format!("[admin]\nport = {admin}\n"), &[]).await;
    let hidden = server.get("/v1/audit").await;
    assert_eq!(
        (hidden.status, &hidden.body["code"]),
        (StatusCode::NOT_FOUND, &json!("NOT_FOUND"))
    );
    let shown = server
        .client()
        .get(format!("http://127.0.0.1:{admin}/v1/audit"));
    assert_eq!(shown.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}
