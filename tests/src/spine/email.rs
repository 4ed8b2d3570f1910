//! Runs the examples of the e-mail guide: its configuration, its check and its first message, against a real server.

use std::time::Duration;

use acteon_services::{Kafka, MailServer, MailServerOptions, eventually};
use serde_json::{Value, json};

use super::readme::marked;
use crate::harness::{Producer, Server};

const PAGE: &str = "docs/guide/email.md";
const PASSWORD: &str = "swordfish";
const TIMEOUT: Duration = Duration::from_secs(60);
const ONCE: &str = "rules: [{ name: once, condition: { all: [] }, action: { type: deduplicate } }]";

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
    let config = marked(PAGE, "configuration").text
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
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let line = format!("provider `mail`: connected to localhost:{port} over TLS, authenticated");
    assert!(said.lines().any(|said| said == line), "{said}");
    assert_eq!(mail.messages().len(), 0, "the check sends no message");
    let url = server.url("");
    marked(PAGE, "send")
        .run(&folder, &[("http://127.0.0.1:8080", &url)])
        .await;
    let mails = mail.messages();
    assert_eq!(mails.len(), 1);
    let mail: Value = serde_json::from_str(&mails[0]).unwrap();
    let recipients = json!(["ada@example.com", "archive@example.com"]);
    assert_eq!(mail["recipients"], recipients);
    assert_eq!(mail["encrypted"], true);
}

/// The results of the recipients travel through the retry topics of the source.
#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_reaches_only_the_deferred_recipient() {
    let mail = MailServer::start(MailServerOptions {
        encryption: "none",
        login: None,
        smtputf8: true,
    });
    let mail = mail.await.unwrap();
    let kafka = Kafka::shared().await;
    let producer = Producer::to_new_topic(kafka, 1).await;
    let config = format!(
        "rules.directory = \"{{rules}}\"\nredelivery.schedule_seconds = [1]\n\n\
         [[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\n\
         group_id = \"{topic}-group\"\n\n\
         [[providers]]\nname = \"mail\"\ntype = \"email\"\nfrom_address = \"alerts@example.com\"\n\
         smtp_host = \"127.0.0.1\"\nsmtp_port = {port}\ntls = \"none\"\nallow_cidrs = [\"127.0.0.0/8\"]\n\
         max_retries = 0\n",
        brokers = kafka.bootstrap(),
        topic = producer.topic(),
        port = mail.port(),
    );
    let _server = Server::start(&config, &[("once.yaml", ONCE)]).await;
    let action = json!({
        "namespace": "shop", "tenant": "acme", "provider": "mail", "action_type": "order_paid", "dedup_key": "order-7",
        "payload": {"to": ["ada@example.com", "busy@example.com"], "subject": "Order 7 is paid"},
    });
    producer.send("7", action.to_string().as_bytes());
    producer.flush();
    let messages = eventually(TIMEOUT, async || mail.messages(), |all| all.len() == 2).await;
    let messages = messages
        .iter()
        .map(|one| serde_json::from_str::<Value>(one).unwrap());
    let recipients: Vec<_> = messages.map(|mut one| one["recipients"].take()).collect();
    assert_eq!(
        recipients,
        [json!(["ada@example.com"]), json!(["busy@example.com"])]
    );
}
