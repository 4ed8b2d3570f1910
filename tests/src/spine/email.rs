//! Runs the examples of the e-mail guide: its configuration, its check and its first message, against a real server.

use acteon_services::{MailServer, MailServerOptions};
use serde_json::Value;

use super::readme::{Example, examples};
use crate::harness::Server;

const PAGE: &str = "docs/guide/email.md";
const PASSWORD: &str = "swordfish";

fn example(name: &str) -> Example {
    let found = examples(PAGE)
        .into_iter()
        .find(|example| example.name == name);
    found.unwrap_or_else(|| panic!("{PAGE} has no example `{name}`"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_sends_its_first_message() {
    let mail = MailServer::start(MailServerOptions {
        encryption: "starttls",
        login: Some(("alerts@example.com", PASSWORD)),
        smtputf8: true,
    });
    let mail = mail.await.unwrap();
    let port = mail.port().to_string();
    // The server of the test is local and has a certificate from a private authority.
    let config = example("configuration").text
        + &format!(
            "ca_file = {:?}\nallow_cidrs = [\"127.0.0.0/8\"]\n",
            mail.ca_file()
        );
    let config = config
        .replace("smtp.example.com", "localhost")
        .replace("587", &port)
        .replace("env:SMTP_PASSWORD", PASSWORD);
    let server = Server::start(&config, &[]).await;
    let folder = server.rules().parent().unwrap().to_owned();
    let said = example("check").run(&folder, &[]).await;
    let line = format!("provider `mail`: connected to localhost:{port} over TLS, authenticated");
    assert!(said.lines().any(|said| said == line), "{said}");
    assert_eq!(mail.messages().len(), 0, "the check sends no message");
    let url = server.url("");
    example("send")
        .run(&folder, &[("http://127.0.0.1:8080", &url)])
        .await;
    let mails = mail.messages();
    assert_eq!(mails.len(), 1);
    let mail: Value = serde_json::from_str(&mails[0]).unwrap();
    let recipients = serde_json::json!(["ada@example.com", "archive@example.com"]);
    assert_eq!(mail["recipients"], recipients);
    assert_eq!(mail["encrypted"], true);
}
