//! Templates of the guide in the real server: rendered by the command, reloaded with the rules, sent to Slack.

use std::fs;

use acteon_services::SlackServer;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::readme::marked;
use crate::harness::Server;

const PAGE: &str = "docs/guide/templates.md";

fn action(payload: &Value) -> Value {
    json!({
        "namespace": "shop", "tenant": "acme", "provider": "team", "action_type": "alert",
        "payload": payload, "metadata": {"severity": "critical"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_templates_of_the_guide_are_rendered_reloaded_and_sent() {
    let slack = SlackServer::start().await.unwrap();
    let config = format!(
        "[rules]\ndirectory = \"{{rules}}\"\nwatch = false\n\n[[providers]]\nname = \"team\"\ntype = \"slack\"\n\
         token = \"{}\"\ndefault_channel = \"#alerts\"\napi_base_url = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        slack.token(),
        slack.api_base_url(),
    );
    let server = Server::start(&config, &[]).await;
    let templates = server.rules().join("templates/team");
    fs::create_dir_all(&templates).unwrap();
    for (file, name) in [("subject.txt", "subject"), ("blocks.json", "blocks")] {
        fs::write(templates.join(file), marked(PAGE, name).text).unwrap();
    }
    let payload = json!({"title": "The disk is \"full\"", "text": "t", "items": [{"name": "db-1"}, {"name": "db-2"}]});
    let folder = server.rules().parent().unwrap().to_owned();
    let action = action(&payload);
    fs::write(folder.join("action.json"), action.to_string()).unwrap();
    let said = marked(PAGE, "render").run(&folder, &[]).await;
    let (whole, subject) = said.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(subject, "The disk is \"full\" (critical)");
    let whole: Value = serde_json::from_str(whole).unwrap();
    assert_eq!(whole["blocks"][2]["text"]["text"], "• db-2");

    let answer = server.post("/v1/rules/reload", &json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    server.post("/v1/dispatch", &action).await;
    let message = slack.messages().remove(0);
    assert_eq!(message["blocks"], whole["blocks"]);

    fs::write(templates.join("blocks.json"), "\n{{ paylod.title }}").unwrap();
    let answer = server.post("/v1/rules/reload", &json!({})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let message = answer.body["message"].as_str().unwrap();
    assert!(
        message.contains("templates/team/blocks.json:2"),
        "{message}"
    );
    server.post("/v1/dispatch", &action).await;
    assert_eq!(slack.messages()[1]["blocks"], whole["blocks"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fails_answers_with_its_place_and_is_shown_by_render() {
    let mut server = Server::prepare("[rules]\ndirectory = \"{rules}\"\n", &[]);
    let templates = server.rules().join("templates/log");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("text.txt"), "one\n{{ payload.titel }}").unwrap();
    server.launch();
    server.until_healthy().await;
    let mut action = action(&json!({"title": "t"}));
    action["provider"] = "log".into();
    let answer = server.post("/v1/dispatch", &action).await;
    let failed = &answer.body["Failed"];
    assert_eq!(failed["code"], "SERIALIZATION", "{:?}", answer.body);
    let message = failed["message"].as_str().unwrap();
    assert!(
        message.contains("log/text.txt:2: undefined value: `payload.titel`"),
        "{message}"
    );
    let folder = server.rules().parent().unwrap().to_owned();
    fs::write(folder.join("action.json"), action.to_string()).unwrap();
    let output = std::process::Command::new(crate::harness::binary())
        .args(["render", "log", "action.json"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("log/text.txt:2: undefined value"), "{said}");
    let metrics = server
        .client()
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = "acteon_provider_template_errors_total{provider=\"log\"} 1";
    assert!(metrics.contains(counted), "not counted");
}
