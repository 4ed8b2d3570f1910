//! Runs the examples of the guide about signed webhooks: its receiver verifies the first action.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::Duration;

use acteon_services::eventually;
use acteon_services::process::free_ports;
use tokio::net::TcpStream;

use super::readme::marked;
use crate::harness::Server;

const PAGE: &str = "docs/guide/webhook.md";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const TIMEOUT: Duration = Duration::from_secs(60);

/// The receiver of the guide. Killed when dropped.
struct GuideReceiver {
    child: Child,
    port: String,
}

impl GuideReceiver {
    async fn start(server: &Server) -> Self {
        let [port] = free_ports().unwrap();
        let folder = server.rules().parent().unwrap().to_owned();
        let program = marked(PAGE, "receiver").text;
        let program = program.replace("9000", &port.to_string());
        fs::write(folder.join("receiver.py"), program).unwrap();
        let log = File::create(folder.join("receiver.log")).unwrap();
        let child = Command::new("python3")
            .arg("receiver.py")
            .current_dir(folder)
            .env("ORDERS_SIGNING_SECRET", SECRET)
            .stderr(log)
            .spawn()
            .unwrap();
        let listens = async || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        eventually(TIMEOUT, listens, |listens| *listens).await;
        let port = port.to_string();
        Self { child, port }
    }
}

impl Drop for GuideReceiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of the guide for the receiver, without TLS and with these secrets.
fn config(receiver: &str, secrets: &str) -> String {
    let config = marked(PAGE, "configuration").text;
    let config = config
        .replace("https://hooks.example.com", receiver)
        .replace("signing_secret = \"env:ORDERS_SIGNING_SECRET\"", secrets);
    config + "allow_cidrs = [\"127.0.0.0/8\"]\n\n[log]\nlevel = \"trace\"\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_of_the_guide_verifies_the_first_action() {
    let mut server = Server::prepare("", &[]);
    let receiver = GuideReceiver::start(&server).await;
    let url = format!("http://127.0.0.1:{}", receiver.port);
    let folder = server.rules().parent().unwrap().to_owned();
    // The one that the receiver knows comes second, as the old one does in a rotation.
    let secrets = format!("signing_secrets = [\"{OTHER}\", \"{SECRET}\"]");
    fs::write(folder.join("acteon.toml"), config(&url, &secrets)).unwrap();
    let said = marked(PAGE, "check").run(&folder, &[]).await;
    let line = format!(
        "provider `orders`: connected to 127.0.0.1:{} without TLS",
        receiver.port
    );
    assert!(said.lines().any(|said| said == line), "{said}");
    server.launch();
    server.until_healthy().await;
    let own = server.url("");
    let replaced = [("http://127.0.0.1:8080", own.as_str())];
    marked(PAGE, "send").run(&folder, &replaced).await;
    let log = server.log();
    assert!(!log.contains("whsec_"), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_with_another_secret_refuses_the_action() {
    let mut server = Server::prepare("", &[]);
    let receiver = GuideReceiver::start(&server).await;
    let url = format!("http://127.0.0.1:{}", receiver.port);
    let folder = server.rules().parent().unwrap().to_owned();
    let config = config(&url, &format!("signing_secret = \"{OTHER}\""));
    fs::write(folder.join("acteon.toml"), config).unwrap();
    server.launch();
    server.until_healthy().await;
    let text = marked(PAGE, "send").text;
    let action = text.split('\'').nth(3).unwrap().to_owned();
    let answer = server.post_text("/v1/dispatch", action).await;
    assert_eq!(answer.body["Failed"]["code"], "EXECUTION_FAILED");
    let message = answer.body["Failed"]["message"].as_str().unwrap();
    assert!(message.contains("401"), "{message}");
}
