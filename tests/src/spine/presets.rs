//! Runs the examples of the guide about presets: each configuration, and its first message.

use std::fs;

use acteon_services::{DiscordServer, OpsgenieServer, TeamsServer, TelegramServer};
use acteon_sinks_kit::contract::Receiver;
use serde_json::{Value, json};

use super::readme::marked;
use crate::harness::Server;

const ALLOWED: &str = "type = \"http\"\nallow_cidrs = [\"127.0.0.0/8\"]";
/// Everything is logged, so that a secret in the log is found.
const LOG: &str = "\n[log]\nlevel = \"trace\"\n";

/// A server with the configuration of a page.
async fn configured(page: &str, name: &str, replaced: &[(&str, &str)]) -> Server {
    let text = marked(page, name).text.replace("type = \"http\"", ALLOWED);
    let replace = |text: String, (from, to): &(&str, &str)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let text = replaced.iter().fold(text, replace);
    Server::start(&(text + LOG), &[]).await
}

/// Runs a command of a page, which must deliver an action.
async fn send(server: &Server, page: &str, name: &str) {
    let folder = server.rules().parent().unwrap().to_owned();
    let url = server.url("");
    let replaced = [("http://127.0.0.1:8080", url.as_str())];
    let answer = marked(page, name).run(&folder, &replaced).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Executed"]["status"], "success", "{answer}");
}

fn assert_is_secret(server: &Server, secret: &str) {
    let log = server.log();
    assert!(!log.contains(secret), "the secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_opsgenie_creates_an_alert_and_closes_it() {
    let page = "docs/guide/opsgenie.md";
    let opsgenie = OpsgenieServer::start().await.unwrap();
    let key = format!(
        "{}\"\napi_base_url = \"{}",
        opsgenie.api_key(),
        opsgenie.api_base_url()
    );
    let server = configured(page, "configuration", &[("env:OPSGENIE_KEY", &key)]).await;
    send(&server, page, "send").await;
    let alert = opsgenie.alerts().remove(0);
    assert_eq!((&*alert.alias, alert.status), ("disk/db-1", "open"));
    assert_eq!(alert.request["priority"], "P2");
    send(&server, page, "close").await;
    assert_eq!(opsgenie.alerts()[0].status, "closed");
    assert_is_secret(&server, opsgenie.api_key());
    let base = format!("the-key\"\napi_base_url = \"{}", opsgenie.api_base_url());
    configured(page, "jsm", &[("env:JSM_KEY", &base)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_discord_posts_its_first_message() {
    let page = "docs/guide/discord.md";
    let discord = DiscordServer::start().await.unwrap();
    let url = discord.webhook_url();
    let server = configured(page, "configuration", &[("env:DISCORD_WEBHOOK", &url)]).await;
    send(&server, page, "send").await;
    let message = discord.messages().remove(0);
    assert_eq!(message["content"], "Order 7 is paid");
    assert_eq!(message["embeds"][0]["description"], "12.50 €");
    assert_is_secret(&server, url.rsplit('/').next().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_teams_posts_its_first_card() {
    let page = "docs/guide/teams.md";
    let teams = TeamsServer::start().await.unwrap();
    let url = teams.webhook_url();
    let server = configured(page, "configuration", &[("env:TEAMS_WEBHOOK", &url)]).await;
    send(&server, page, "send").await;
    let card = teams.cards().remove(0);
    assert_eq!(card["body"][1]["text"], "It is paid");
    assert_is_secret(&server, url.rsplit("sig=").next().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_telegram_sends_its_first_message() {
    let page = "docs/guide/telegram.md";
    let telegram = TelegramServer::start().await.unwrap();
    let token = format!(
        "{}\"\napi_base_url = \"{}",
        telegram.token(),
        telegram.api_base_url()
    );
    let server = configured(page, "configuration", &[("env:TELEGRAM_TOKEN", &token)]).await;
    send(&server, page, "send").await;
    let expected = json!({"chat_id": "@alerts", "text": "Order 7 is paid"});
    assert_eq!(telegram.messages(), [expected]);
    assert_is_secret(&server, telegram.token());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_a_generic_and_an_own_preset_send_what_the_page_says() {
    let page = "docs/guide/presets.md";
    let receiver = Receiver::start([]).await;
    let url = format!("http://{}", receiver.address());
    let replaced = [
        ("https://notify.example.com", url.as_str()),
        ("env:NOTIFY_TOKEN", "the-token-of-notify"),
    ];
    let server = configured(page, "configuration", &replaced).await;
    send(&server, page, "send").await;
    let request = receiver.received().remove(0);
    assert_eq!(
        request.header("authorization"),
        Some("Bearer the-token-of-notify")
    );
    assert!(request.header("idempotency-key").is_some());
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["attributes"], json!({"team": "sales"}));
    assert_is_secret(&server, "the-token-of-notify");
    let replaced = [
        ("https://pager.example.com", url.as_str()),
        ("env:PAGER_KEY", "the-key-of-pager"),
    ];
    let server = configured(page, "definition", &replaced).await;
    let action = json!({
        "id": "a", "namespace": "shop", "tenant": "acme", "provider": "pager", "action_type": "disk_full",
        "fingerprint": "disk/db-1", "payload": {}, "metadata": {"severity": "critical"},
    });
    server.post("/v1/dispatch", &action).await;
    let request = receiver.received().remove(1);
    assert_eq!(
        (request.method.as_str(), request.uri.path()),
        ("PUT", "/api/pages/disk%2Fdb-1")
    );
    assert_eq!(request.header("x-key"), Some("the-key-of-pager"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, json!({"text": "disk_full", "urgent": true}));
    assert_is_secret(&server, "the-key-of-pager");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_the_places_of_mistakes_in_a_preset() {
    let server = Server::prepare("", &[]);
    let folder = server.rules().parent().unwrap().to_owned();
    let config = marked("docs/guide/presets.md", "definition").text;
    let config = config
        .replace("env:PAGER_KEY", "k")
        .replace("payload.note", "paylod.note");
    fs::write(folder.join("acteon.toml"), config).unwrap();
    let output = std::process::Command::new(crate::harness::binary())
        .arg("check")
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let place =
        "providers.pager.definition.requests[0].body.note: a template has no value `paylod`";
    assert!(said.contains(place), "{said}");
}
