//! Rules that change under load: the whole set or nothing, and every error with its position.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use acteon_services::eventually;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

use super::action;
use crate::harness::Server;

const TIMEOUT: Duration = Duration::from_secs(30);
const CONFIG: &str = "[rules]\ndirectory = \"{rules}\"\nwatch = false\n";
const MUTE: &str = "rules:\n  - name: mute\n    condition: { field: action.tenant, eq: acme }\n    action: { type: suppress }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_set_is_refused_with_every_error_placed_while_the_old_one_works() {
    let server = Arc::new(Server::start(CONFIG, &[("mute.yaml", MUTE)]).await);
    server.write_rules("a.yaml", "rules:\n  - name: one\n    condition: { field: action.tenant, equals: x }\n    action: { type: allow }\n");
    server.write_rules(
        "b.yaml",
        "rules:\n  - name: two\n    condition: { all: [] }\n    action: { type: supress }\n",
    );
    server.write_rules("c.yaml", "rules:\n  - name: three\n    condition: { field: action.payload.x, matches: \"(\" }\n    action: { type: allow }\n");

    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let server = server.clone();
        let stop = stop.clone();
        let sent = sent.clone();
        callers.spawn(async move {
            while !stop.load(Relaxed) {
                let answer = server.post("/v1/dispatch", &action(1, "anything")).await;
                assert_eq!(answer.body, json!({"Suppressed": {"rule": "mute"}}));
                sent.fetch_add(1, Relaxed);
            }
        });
    }
    let mut ticks = interval(Duration::from_millis(100));
    for _ in 0..20 {
        ticks.tick().await;
        let answer = server.post("/v1/rules/reload", &json!({})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["code"], "RULES_INVALID");
        let message = answer.body["message"].as_str().unwrap();
        for place in ["a.yaml:3", "b.yaml:4", "c.yaml:3"] {
            assert!(message.contains(place), "{place} is not in {message}");
        }
    }
    stop.store(true, Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert!(
        sent.load(Relaxed) > 100,
        "only {} actions in two seconds",
        sent.load(Relaxed)
    );
    let rules = server.get("/v1/rules").await.body;
    let names: Vec<_> = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["name"])
        .collect();
    assert_eq!(names, [&json!("mute")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_never_show_a_mixed_set() {
    let set = |reason: &str| {
        format!(
            "rules:\n  - name: first\n    condition: {{ field: action.payload.order, gt: 0 }}\n    action: {{ type: modify, changes: {{ mark: {reason} }} }}\n    continue: true\n  \
             - name: {reason}\n    condition: {{ field: action.payload.mark, eq: {reason} }}\n    action: {{ type: suppress }}\n"
        )
    };
    let server = Arc::new(Server::start(CONFIG, &[("set.yaml", &set("red"))]).await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let server = server.clone();
        let stop = stop.clone();
        callers.spawn(async move {
            let mut red = 0;
            let mut blue = 0;
            while !stop.load(Relaxed) {
                let answer = server.post("/v1/dispatch", &action(1, "anything")).await;
                match answer.body["Suppressed"]["rule"].as_str() {
                    Some("red") => red += 1,
                    Some("blue") => blue += 1,
                    _ => panic!("a mixed set answered {answer:?}"),
                }
            }
            (red, blue)
        });
    }
    let mut ticks = interval(Duration::from_millis(100));
    for round in 0..30 {
        ticks.tick().await;
        server.write_rules("set.yaml", &set(["blue", "red"][round % 2]));
        let answer = server.post("/v1/rules/reload", &json!({})).await;
        assert_eq!(answer.body["loaded"], 2, "{answer:?}");
    }
    stop.store(true, Relaxed);
    let mut red = 0;
    let mut blue = 0;
    while let Some(seen) = callers.join_next().await {
        let seen: (u64, u64) = seen.unwrap();
        red += seen.0;
        blue += seen.1;
    }
    assert!(
        red > 0 && blue > 0,
        "both sets were seen: {red} red, {blue} blue"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toggled_rule_stays_off_across_reloads() {
    let server = Server::start(CONFIG, &[("mute.yaml", MUTE)]).await;
    let url = server.url("/v1/rules/mute/enabled");
    let request = server.client().put(url).json(&json!({"enabled": false}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        answer,
        json!({"name": "mute", "enabled": false, "status": "disabled"})
    );
    server.post("/v1/rules/reload", &json!({})).await;
    let answer = server.post("/v1/dispatch", &action(1, "anything")).await;
    assert!(answer.body.get("Executed").is_some(), "{answer:?}");
    // The toggle and the reload are recorded, too. The audit trail is buffered.
    let recorded = async || server.get("/v1/audit").await.body["total"].clone();
    eventually(Duration::from_secs(10), recorded, |total| *total == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_goes_leaves_its_rules_in_force_and_is_followed_when_it_is_back() {
    let config = "[rules]\ndirectory = \"{rules}\"\n";
    let server = Server::start(config, &[("mute.yaml", MUTE)]).await;
    let timeout = Duration::from_secs(10);
    std::fs::remove_dir_all(server.rules()).unwrap();
    let last_load = async || server.get("/v1/rules/reload").await.body["errors"].clone();
    let names_the_cause = |errors: &Value| errors.to_string().contains("there is no directory");
    eventually(timeout, &last_load, names_the_cause).await;
    let answer = server.post("/v1/dispatch", &action(1, "anything")).await;
    assert_eq!(answer.body, json!({"Suppressed": {"rule": "mute"}}));
    let answer = server.post("/v1/rules/reload", &json!({})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");

    std::fs::create_dir(server.rules()).unwrap();
    server.write_rules("new.yaml", &MUTE.replace("name: mute", "name: new"));
    let names = async || server.get("/v1/rules").await.body[0]["name"].clone();
    eventually(timeout, names, |name| *name == "new").await;
    assert_eq!(last_load().await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_the_rules_and_a_broken_set_leaves_the_old_one_in_force() {
    let server = Server::start(CONFIG, &[]).await;
    let outcome = async || {
        server
            .post("/v1/dispatch?dry_run=true", &action(1, "any"))
            .await
            .body
    };
    assert_eq!(outcome().await["DryRun"]["matched_rule"], Value::Null);
    server.write_rules("mute.yaml", MUTE);
    server.hang_up();
    let muted = |outcome: &Value| outcome["DryRun"]["matched_rule"] == "mute";
    eventually(TIMEOUT, outcome, muted).await;
    server.write_rules("broken.yaml", "rules: [{ nam: x }]\n");
    server.hang_up();
    let log = async || server.log();
    let refused = |log: &String| log.contains("nothing was reloaded at SIGHUP");
    let log = eventually(TIMEOUT, log, refused).await;
    assert!(log.contains("broken.yaml:1:11"), "{log}");
    assert!(muted(&outcome().await), "the old set works");
    let recorded = async || {
        let path = "/v1/audit?action_type=acteon.rules.reload";
        server.get(path).await.body["records"].clone()
    };
    let two = |records: &Value| records.as_array().is_some_and(|records| records.len() == 2);
    let records = eventually(TIMEOUT, recorded, two).await;
    assert_eq!(
        (&records[0]["caller_id"], &records[0]["outcome"]),
        (&json!("SIGHUP"), &json!("failed"))
    );
    assert_eq!(
        (&records[1]["caller_id"], &records[1]["outcome"]),
        (&json!("SIGHUP"), &json!("reloaded"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_does_not_end_a_server_that_has_no_rules() {
    let server = Server::start("", &[]).await;
    server.hang_up();
    let log = async || server.log();
    eventually(TIMEOUT, log, |log| {
        log.contains("no rules directory is configured")
    })
    .await;
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}
