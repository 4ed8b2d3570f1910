//! Actions from one topic become records of another: the server with a `kafka` provider, against a bare producer that
//! waits for the same confirmations.

use std::path::Path;
use std::time::Duration;

use acteon_services::Kafka;
use anyhow::{Context, ensure};
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, Producer};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::actions::action_for;
use crate::child::{Measured, free_port, server_binary, until_counted, until_ready};
use crate::report::{Report, median};
use crate::topic::queue;

const PARTITIONS: i32 = 6;
const RECORD_BYTES: usize = 1024;
const PROVIDER: &str = "leaving";
const TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(crate) struct Options {
    /// How many records of 1 KiB.
    #[arg(long, default_value_t = 300_000)]
    records: u64,
    /// How many runs of each.
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(compare(options))
}

async fn compare(options: &Options) -> anyhow::Result<Report> {
    let kafka = Kafka::start().await?;
    let records = options.records;
    let mut report = Report::new("sinks");
    kafka.create_topic("arriving", PARTITIONS).await?;
    produce(&kafka, "arriving", records).await?;
    let mut ratios = Vec::new();
    for number in 1..=options.runs {
        let bare_topic = format!("bare-{number}");
        let topic = format!("leaving-{number}");
        for name in [&bare_topic, &topic] {
            kafka.create_topic(name, PARTITIONS).await?;
        }
        let bare = produce(&kafka, &bare_topic, records).await?;
        let acteon = relay(&kafka, &topic, records).await?;
        let found = far_end(&kafka, &topic, records).await?;
        ensure!(
            found == records,
            "{found} of {records} records at the far end"
        );
        let bare = records as f64 / bare;
        for (who, rate) in [("bare producer", bare), ("acteon", acteon)] {
            report.row(format!("run {number}: {who}"), &[("records/s", rate)]);
        }
        ratios.push(acteon / bare);
    }
    report.at_least(
        "kafka to kafka / bare producer, median",
        median(ratios),
        0.6,
    );
    Ok(report)
}

/// Publishes the records and waits for all confirmations. Returns the seconds it took.
async fn produce(kafka: &Kafka, topic: &str, records: u64) -> anyhow::Result<f64> {
    let mut config: ClientConfig = kafka.client();
    let producer: BaseProducer = config
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.kbytes", "65536")
        .create()?;
    let topic = topic.to_owned();
    let produced = spawn_blocking(move || {
        let start = Instant::now();
        for number in 0..records {
            queue(
                &producer,
                &topic,
                number,
                &action_for(PROVIDER, number, RECORD_BYTES),
            )?;
        }
        producer.flush(TIMEOUT)?;
        anyhow::Ok(start.elapsed().as_secs_f64())
    });
    produced.await?
}

/// Runs the server until it has published all records. Returns the records per second from the first ones on: the start
/// of the server and of its consumer group is no part of a producer's work.
async fn relay(kafka: &Kafka, topic: &str, records: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = configure(folder.path(), kafka.bootstrap(), topic)?;
    let port_text = port.to_string();
    let arguments = ["-c", &config, "--port", &port_text].map(str::to_owned);
    let log = folder.path().join("log");
    let mut process = Measured::start(&server_binary()?, &arguments, &log)?;
    until_ready(port, "/health", Duration::from_secs(10)).await?;
    let first = until_counted(port, "executed", 1, TIMEOUT).await?;
    let start = Instant::now();
    let first = first["executed"].as_u64().context("a counter")?;
    let counters = until_counted(port, "executed", records, TIMEOUT).await?;
    let seconds = start.elapsed().as_secs_f64();
    process.still_runs(&log)?;
    ensure!(counters["executed"] == records, "{counters}");
    Ok((records - first) as f64 / seconds)
}

fn configure(folder: &Path, brokers: &str, topic: &str) -> anyhow::Result<String> {
    let group = uuid::Uuid::now_v7();
    let text = format!(
        "[audit]\nenabled = false\n\n[[sources]]\nname = \"bench\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\n\
         topics = [\"arriving\"]\ngroup_id = \"{group}\"\n\n[[providers]]\nname = \"{PROVIDER}\"\ntype = \"kafka\"\n\
         brokers = \"{brokers}\"\ntopic = \"{topic}\"\nmax_concurrent = 5000\n"
    );
    let path = folder.join("acteon.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

/// How many different actions are at the far end. Fails if one is there twice.
async fn far_end(kafka: &Kafka, topic: &str, records: u64) -> anyhow::Result<u64> {
    let mut config = kafka.client();
    let consumer: BaseConsumer = config
        .set("group.id", format!("far-end-of-{topic}"))
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "false")
        .create()?;
    consumer.subscribe(&[topic])?;
    let counted = spawn_blocking(move || {
        let mut seen = vec![false; records as usize];
        // The server has counted all of them, so none is missing for long.
        for record in consumer.iter().take(records as usize) {
            let record = record?;
            let headers = record.headers().context("a record without headers")?;
            let id = headers
                .iter()
                .find(|header| header.key == "acteon-action-id");
            let id = id.and_then(|header| std::str::from_utf8(header.value?).ok());
            let number: usize = id.context("a record without its id")?.parse()?;
            ensure!(
                !std::mem::replace(&mut seen[number], true),
                "{number} came twice"
            );
        }
        Ok(seen.into_iter().filter(|seen| *seen).count() as u64)
    });
    counted.await?
}
