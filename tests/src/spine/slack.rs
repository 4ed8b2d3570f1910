//! Runs the examples of the guide about Slack: its configuration, its check and its first message.

use acteon_services::SlackServer;

use super::readme::marked;
use crate::harness::Server;

const PAGE: &str = "docs/guide/slack.md";

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_posts_its_first_message() {
    let slack = SlackServer::start().await.unwrap();
    let config = marked(PAGE, "configuration").text;
    let config = config.replace("env:SLACK_TOKEN", slack.token())
        + &format!(
            "api_base_url = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n\n[log]\nlevel = \"trace\"\n",
            slack.api_base_url()
        );
    let server = Server::start(&config, &[]).await;
    let folder = server.rules().parent().unwrap().to_owned();
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let is_reached = |line: &str| {
        line.starts_with("provider `team`: connected to 127.0.0.1")
            && line.ends_with(" without TLS, authenticated")
    };
    assert!(said.lines().any(is_reached), "{said}");
    assert_eq!(slack.messages().len(), 0, "the check posts no message");
    let url = server.url("");
    let replaced = [("http://127.0.0.1:8080", url.as_str())];
    marked(PAGE, "send").run(&folder, &replaced).await;
    let message = slack.messages().remove(0);
    assert_eq!(message["channel"], "C0ALERTS");
    let customer = &message["blocks"][1]["fields"][0]["text"];
    assert_eq!(customer, "*Customer*\nAda &amp; Co");
    assert!(
        !server.log().contains(slack.token()),
        "the token is in the log"
    );
}
