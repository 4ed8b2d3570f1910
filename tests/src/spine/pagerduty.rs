//! Runs the examples of the guide about PagerDuty: its configuration, its check, an alert and its end.

use acteon_services::PagerDutyServer;
use serde_json::json;

use super::readme::marked;
use crate::harness::Server;

const PAGE: &str = "docs/guide/pagerduty.md";
const KEY: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_triggers_and_resolves_an_alert() {
    let account = PagerDutyServer::start().await.unwrap();
    let config = marked(PAGE, "configuration").text;
    let config = config.replace("env:PAGERDUTY_KEY", KEY)
        + &format!(
            "api_base_url = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n\n[log]\nlevel = \"trace\"\n",
            account.api_base_url()
        );
    let server = Server::start(&config, &[]).await;
    let folder = server.rules().parent().unwrap().to_owned();
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let is_reached = |line: &str| {
        line.starts_with("provider `oncall`: connected to 127.0.0.1")
            && line.ends_with(" without TLS")
    };
    assert!(said.lines().any(is_reached), "{said}");
    assert_eq!(account.events().len(), 0, "the check sends no event");
    let url = server.url("");
    let replaced = [("http://127.0.0.1:8080", url.as_str())];
    marked(PAGE, "trigger").run(&folder, &replaced).await;
    let alert = account.alerts().remove(0);
    assert_eq!(
        (alert.dedup_key.as_str(), alert.status),
        ("db-1/disk", "triggered")
    );
    assert_eq!(account.events()[0]["payload"]["severity"], "critical");
    marked(PAGE, "resolve").run(&folder, &replaced).await;
    let alerts = account.alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].status, "resolved");
    assert!(!server.log().contains(KEY), "the routing key is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_retried_does_not_follow_its_resolve() {
    let account = PagerDutyServer::start().await.unwrap();
    account.fail_triggers(1);
    let config = format!(
        "[[providers]]\nname = \"oncall\"\ntype = \"pagerduty\"\nrouting_key = \"{KEY}\"\n\
         api_base_url = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        account.api_base_url()
    );
    let server = Server::start(&config, &[]).await;
    let event = |status| {
        json!({
            "namespace": "ops", "tenant": "acme", "provider": "oncall", "action_type": "disk_full",
            "fingerprint": "db-1/disk", "status": status, "payload": {"summary": "The disk of db-1"},
        })
    };
    let batch = json!([event("firing"), event("resolved")]);
    let answer = server.post("/v1/dispatch/batch", &batch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let events = account.events();
    let actions: Vec<_> = events.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    let alerts = account.alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].status, "resolved");
}
