//! Runs the Kafka example of the README: a broker, the server, a producer, and a receiver that shows its requests. All
//! listen on free ports of 127.0.0.1, and all end with this process, however it ends.

mod receiver;
mod server;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use acteon_services::Kafka;
use anyhow::Context;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::receiver::Receiver;
use crate::server::Server;

const TOPIC: &str = "orders";
const ORDER: &str = r#"{"id": "order-1", "payload": {"order_id": 1, "item": "tea"}}"#;
const ORDER_AGAIN: &str = r#"{"id": "order-1-again", "payload": {"order_id": 1, "item": "tea"}}"#;
const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let ended = tokio::select! {
        ended = demonstrate() => ended,
        ended = interrupted() => ended,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("The demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs until dropped. Dropping it stops everything it has started.
async fn demonstrate() -> anyhow::Result<()> {
    say("Starting the broker; its archives are downloaded once (75 MB)");
    let kafka = Kafka::start().await.context("starting the broker")?;
    kafka.create_topic(TOPIC, 1).await?;
    let mut receiver = Receiver::start().await?;
    let server = Server::start(kafka.bootstrap(), receiver.address()).await?;
    say(&format!("broker     {}, topic {TOPIC}", kafka.bootstrap()));
    say(&format!("receiver   http://{}/hook", receiver.address()));
    say(&format!("server     {}", server.url()));
    say(&format!("folder     {}", server.folder().display()));

    let producer: FutureProducer = kafka.client().create()?;
    write(&producer, ORDER).await?;
    receiver.arrival().await?;
    write(&producer, ORDER_AGAIN).await?;
    show_outcome(&server, "order-1-again").await?;

    say("\nEach line that you type is written to the topic. Ctrl-C ends it all.");
    let mut lines = lines_of_standard_input();
    while let Some(line) = lines.recv().await {
        if !line.trim().is_empty() {
            write(&producer, &line).await?;
        }
    }
    std::future::pending().await
}

async fn write(producer: &FutureProducer, record: &str) -> anyhow::Result<()> {
    // Printed before sending: the action may arrive before the broker has confirmed the record.
    say(&format!("writing    {record}"));
    let to_topic = FutureRecord::<(), str>::to(TOPIC).payload(record);
    let sent = producer.send(to_topic, Timeout::After(TIMEOUT)).await;
    sent.map_err(|(error, _)| error)
        .context("writing to the topic")?;
    Ok(())
}

/// Shows the outcome of an action, once its record is in the audit trail.
async fn show_outcome(server: &Server, action_id: &str) -> anyhow::Result<()> {
    let path = format!("/v1/audit/{action_id}?wait_ms=10000");
    let record = server.get(&path).await?;
    say(&format!("audited    {record}"));
    Ok(())
}

/// Returns on SIGINT, SIGTERM and SIGHUP.
async fn interrupted() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    say("\nEnding the server and the broker");
    Ok(())
}

/// The lines of standard input, until its end.
fn lines_of_standard_input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(text: &str) {
    // A closed terminal needs no output.
    drop(writeln!(std::io::stdout(), "{text}"));
}
