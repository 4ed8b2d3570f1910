//! State and audit in a file, over the real binary: killed under load, on a full disk, with a second server, copied.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use acteon_services::eventually;
use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{TEN_RULES, action};
use crate::harness::{Receiver, Server, binary};

pub(super) const SECONDS: Duration = Duration::from_secs(30);

/// State and audit in one file, and one provider.
pub(super) fn config(receiver: &Receiver) -> String {
    format!(
        "[state]\nbackend = \"sqlite\"\n[audit]\nbackend = \"sqlite\"\n[rules]\ndirectory = \"rules\"\n\
         [pipeline]\nlease_seconds = 1\n\
         [[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    )
}

/// Action number `number` with an id, so that its deliveries share an idempotency key.
pub(super) fn named(number: u64) -> Value {
    let mut action = action(number, "hook");
    action["id"] = json!(format!("order-{number}"));
    action["payload"]["shop"] = json!(number % 50);
    action
}

/// Runs a command of the binary in the folder of a server.
fn command(server: &Server, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    let command = command.args(arguments).current_dir(server.folder());
    command.env_remove("RUST_LOG").output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sends these actions on some connections, until all are answered or the server is gone. `confirmed` gets the numbers of
/// the actions that were delivered or had been, have joined a group, or were reports of events.
pub(super) fn send(
    server: &Server,
    (action, numbers): (fn(u64) -> Value, Vec<u64>),
    confirmed: &Arc<Mutex<BTreeSet<u64>>>,
) -> JoinSet<()> {
    let numbers = Arc::new(Mutex::new(numbers));
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let client = server.client().clone();
        let url = server.url("/v1/dispatch");
        let numbers = numbers.clone();
        let confirmed = confirmed.clone();
        callers.spawn(async move {
            loop {
                let Some(number) = numbers.lock().pop() else {
                    return;
                };
                let request = client.post(&url).header("content-type", "application/json");
                let sent = request.body(action(number).to_string()).send().await;
                let Ok(answer) = sent else {
                    return;
                };
                let body = answer.text().await.unwrap_or_default();
                let settled = [
                    "\"Executed\"",
                    "\"Deduplicated\"",
                    "\"Grouped\"",
                    "\"StateChanged\"",
                ];
                if settled.iter().any(|outcome| body.contains(outcome)) {
                    confirmed.lock().insert(number);
                }
            }
        });
    }
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_loses_nothing_and_repeats_nothing_that_was_confirmed() {
    const ROUNDS: u64 = 5;
    const EACH: u64 = 600;
    let receiver = Receiver::accepting().await;
    let mut server = Server::start(&config(&receiver), &[("rules.yaml", TEN_RULES)]).await;
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    let mut in_flight_at_a_kill = BTreeSet::new();
    for round in 1..=ROUNDS {
        // Also those of the rounds before, confirmed or not.
        let mut callers = send(&server, (named, (0..round * EACH).collect()), &confirmed);
        let enough = ((round - 1) * EACH + EACH / 3) as usize;
        let count = async || confirmed.lock().len();
        eventually(SECONDS, count, |count| *count >= enough).await;
        server.kill();
        while callers.join_next().await.is_some() {}
        let settled = confirmed.lock().clone();
        in_flight_at_a_kill.extend((0..round * EACH).filter(|it| !settled.contains(it)));
        server.launch();
        server.until_healthy().await;
    }
    let all: Vec<_> = (0..ROUNDS * EACH).collect();
    while confirmed.lock().len() < all.len() {
        let mut callers = send(&server, (named, all.clone()), &confirmed);
        while callers.join_next().await.is_some() {}
    }
    let mut deliveries = receiver.keys_by("id");
    assert_eq!(deliveries.len(), all.len(), "none is lost");
    let mut repeated = 0;
    for number in all {
        let mut keys = deliveries.remove(&format!("order-{number}")).unwrap();
        repeated += keys.len() - 1;
        if !in_flight_at_a_kill.contains(&number) {
            assert_eq!(keys.len(), 1, "order-{number} was confirmed, and repeated");
        }
        keys.dedup();
        assert_eq!(keys.len(), 1, "a repetition has the same idempotency key");
    }
    println!("{repeated} of those in flight at {ROUNDS} kills were repeated");
    server.terminate();
    assert!(server.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_file_is_refused_and_check_is_not() {
    let receiver = Receiver::accepting().await;
    let mut server = Server::start(&config(&receiver), &[]).await;
    let second = command(&server, &["--port", "0"]);
    assert_eq!(second.status.code(), Some(1));
    let holder = format!(
        "acteon.db` is used by process {}; only one server can use a file",
        server.process_id()
    );
    let refusal = said(&second.stderr);
    assert!(refusal.contains(&holder), "{refusal}");
    assert!(refusal.contains("acteon.toml:"), "{refusal}");
    let checked = command(&server, &["check"]);
    assert!(checked.status.success(), "{}", said(&checked.stderr));
    server.kill();
    server.launch();
    server.until_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_and_audit_in_two_files_are_both_there_after_a_kill() {
    let receiver = Receiver::accepting().await;
    let two = config(&receiver).replace(
        "[rules]",
        "path = \"trail.db\"\ndelivery = \"confirmed\"\n[rules]",
    );
    let mut server = Server::start(&two, &[("rules.yaml", TEN_RULES)]).await;
    let first = server.post("/v1/dispatch", &action(1, "hook")).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    server.kill();
    for file in ["acteon.db", "trail.db"] {
        assert!(server.folder().join(file).exists(), "{file}");
    }
    server.launch();
    server.until_healthy().await;
    assert_eq!(server.get("/v1/audit").await.body["total"], 1);
    let again = server.post("/v1/dispatch", &action(1, "hook")).await;
    assert_eq!(again.body, json!({"Deduplicated": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_grow_is_not_ready_and_recovers() {
    let receiver = Receiver::accepting().await;
    let mut server = Server::prepare(&config(&receiver), &[("rules.yaml", TEN_RULES)]);
    server.launch_with_files_up_to(2 << 20);
    server.until_healthy().await;
    let sent = AtomicU64::new(0);
    let post = async || {
        let mut large = named(sent.fetch_add(1, Relaxed));
        large["payload"]["text"] = json!("x".repeat(100_000));
        server.post("/v1/dispatch", &large).await.status
    };
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    eventually(SECONDS, &post, |status| *status == unavailable).await;
    let ready = server.get("/ready").await;
    assert_eq!(ready.status, unavailable, "{ready:?}");
    assert!(ready.body.to_string().contains("state"), "{ready:?}");
    let id = server.process_id().to_string();
    let mut raise = Command::new("prlimit");
    raise.args(["--pid", &id, "--fsize=unlimited"]);
    assert!(raise.status().unwrap().success());
    eventually(SECONDS, &post, |status| *status == StatusCode::OK).await;
    let ready = async || server.get("/ready").await.status;
    eventually(SECONDS, ready, |status| *status == StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_it_runs_knows_what_was_delivered() {
    let receiver = Receiver::accepting().await;
    let server = Server::start(&config(&receiver), &[("rules.yaml", TEN_RULES)]).await;
    for number in 0..20 {
        let answer = server.post("/v1/dispatch", &action(number, "hook")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    let records = async |server: &Server| server.get("/v1/audit").await.body["total"].clone();
    eventually(SECONDS, async || records(&server).await, |it| *it == 20).await;
    let copied = command(&server, &["backup", "copy.db"]);
    assert!(copied.status.success(), "{}", said(&copied.stderr));
    let mut restored = Server::prepare(&config(&receiver), &[("rules.yaml", TEN_RULES)]);
    let copy = server.folder().join("copy.db");
    std::fs::copy(copy, restored.folder().join("acteon.db")).unwrap();
    restored.launch();
    restored.until_healthy().await;
    assert_eq!(records(&restored).await, 20);
    let again = restored.post("/v1/dispatch", &action(7, "hook")).await;
    assert_eq!(again.body, json!({"Deduplicated": null}));
    assert_eq!(receiver.accepted(), 20);
}
