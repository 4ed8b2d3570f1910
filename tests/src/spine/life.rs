//! The life cycle of the process: it starts quickly and without its broker, costs little when idle, and drains.

use std::fs;
use std::io;
use std::time::Duration;

use acteon_services::eventually;
use acteon_services::process::free_ports;
use axum::http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::action;
use crate::harness::{Receiver, Server};

/// A configuration with an unreachable broker.
fn without_broker() -> String {
    let [closed_port] = free_ports().unwrap();
    format!(
        "[[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"127.0.0.1:{closed_port}\"\n\
         topics = [\"orders\"]\ngroup_id = \"acteon\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_healthy_in_300_ms_without_its_broker_and_says_what_is_not_ready() {
    let mut server = Server::prepare(&without_broker(), &[]);
    let mut without_source = Server::prepare("", &[]);
    let (mut took, mut floor) = (Duration::MAX, Duration::MAX);
    // Other tests run beside this one, so the fastest of several starts counts. A machine on which a server without a
    // broker starts more slowly cannot show 300 ms; there a broker that is away may not make it slower.
    for _ in 0..5 {
        floor = floor.min(time_to_health(&mut without_source).await);
        without_source.kill();
        took = took.min(time_to_health(&mut server).await);
        server.kill();
    }
    println!("healthy after {took:?}, without a source after {floor:?}");
    let limit = Duration::from_millis(300).max(floor * 3 / 2);
    assert!(took < limit, "healthy after {took:?}, not within {limit:?}");
    server.launch();
    server.until_healthy().await;
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

async fn time_to_health(server: &mut Server) -> Duration {
    let start = Instant::now();
    server.launch();
    server.until_healthy().await;
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_it_holds_less_than_50_mb_and_hardly_wakes() {
    let server = Server::start("", &[]).await;
    let id = server.process_id();
    let resident_kib = status_field(&format!("/proc/{id}/status"), "VmRSS:");
    println!("{resident_kib} KiB resident");
    assert!(resident_kib < 50 * 1024, "{resident_kib} KiB");
    let wakes_before = wakes(id);
    let cpu_before = cpu_hundredths(id);
    let start = Instant::now();
    let five_seconds = async || start.elapsed() > Duration::from_secs(5);
    eventually(Duration::from_secs(10), five_seconds, |passed| *passed).await;
    let woken = wakes(id) - wakes_before;
    let cpu = cpu_hundredths(id) - cpu_before;
    println!("{woken} wakes and {cpu} hundredths of a second of CPU in five idle seconds");
    // The cost of one wake depends on the machine, so the wakes are counted. The CPU time shows that no thread spins.
    assert!(woken <= 30, "{woken} wakes in five idle seconds");
    assert!(
        cpu <= 25,
        "{cpu} hundredths of a second of CPU in five idle seconds"
    );
}

/// The voluntary context switches of all threads of the process.
fn wakes(process_id: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process_id}/task")).unwrap();
    let of_thread = |thread: io::Result<fs::DirEntry>| {
        let status = thread.unwrap().path().join("status");
        status_field(status.to_str().unwrap(), "voluntary_ctxt_switches:")
    };
    threads.map(of_thread).sum()
}

fn status_field(path: &str, name: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu_hundredths(process_id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    ticks(11) + ticks(12)
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
        // A late caller is refused by the socket or gets a 503; an accepted caller gets an answer.
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

/// A server whose webhook never answers, and a caller waiting for it.
async fn with_a_caller_who_waits(
    receiver: &Receiver,
    shutdown_timeout_seconds: u32,
) -> (Server, JoinSet<reqwest::Result<reqwest::Response>>) {
    let config = format!(
        "[server]\nshutdown_timeout_seconds = {shutdown_timeout_seconds}\n\n\
         [[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    );
    let server = Server::start(&config, &[]).await;
    let mut callers = JoinSet::new();
    let request = server.client().post(server.url("/v1/dispatch"));
    let request = request.header("content-type", "application/json");
    callers.spawn(request.body(action(1, "hook").to_string()).send());
    let asked = async || receiver.requests();
    eventually(Duration::from_secs(10), asked, |count| *count == 1).await;
    (server, callers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_webhook_hangs_is_answered_at_the_deadline_and_the_exit_status_shows_it() {
    let receiver = Receiver::replying(|_| None).await;
    let (mut server, mut callers) = with_a_caller_who_waits(&receiver, 1).await;
    server.terminate();
    let answer = callers.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let refusal: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(refusal["code"], "SHUTTING_DOWN");
    assert_eq!(
        server.ended().await.code(),
        Some(3),
        "something was cut off"
    );
    let log = server.log();
    let over = log
        .lines()
        .find(|line| line.contains("the time to drain is over"));
    let over = over.unwrap_or_else(|| panic!("{log}"));
    for count in ["\"from_http\":1", "\"from_brokers\":0"] {
        assert!(over.contains(count), "{over}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_it_at_once() {
    let receiver = Receiver::replying(|_| None).await;
    let (mut server, _callers) = with_a_caller_who_waits(&receiver, 60).await;
    server.terminate();
    let log = async || server.log();
    eventually(Duration::from_secs(10), log, |log| log.contains("draining")).await;
    server.terminate();
    let start = Instant::now();
    assert_eq!(
        server.ended().await.code(),
        Some(3),
        "something was cut off"
    );
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_can_have_a_separate_listener() {
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
