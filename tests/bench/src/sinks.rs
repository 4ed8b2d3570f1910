//! Actions from one topic become messages of a broker: the server with a provider, against a bare producer that waits
//! for the same confirmations. The brokers are Kafka, NATS and RabbitMQ.

use std::path::Path;
use std::time::Duration;

use acteon_services::{Kafka, Nats, Rabbit};
use anyhow::{Context, ensure};
use clap::Args;
use tokio::time::Instant;

use crate::actions::action_for;
use crate::child::{Measured, free_port, server_binary, until_counted, until_ready};
use crate::report::{Report, median};

mod amqp;
mod kafka;
mod nats;

const PARTITIONS: i32 = 6;
const RECORD_BYTES: usize = 1024;
const PROVIDER: &str = "leaving";
const TIMEOUT: Duration = Duration::from_secs(300);
/// How many messages a producer has unconfirmed.
const UNCONFIRMED_MAX: usize = 5000;
/// The fraction of the bare producer's rate that is the goal.
const GOAL: f64 = 0.6;

#[derive(Args)]
pub(crate) struct Options {
    /// How many records of 1 KiB from topic to topic.
    #[arg(long, default_value_t = 300_000)]
    records: u64,
    /// How many messages of 1 KiB to NATS and RabbitMQ.
    #[arg(long, default_value_t = 60_000)]
    messages: u64,
    /// How many runs of each.
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

/// A broker that actions are published to.
trait Destination {
    /// How the report names it.
    const NAME: &'static str;

    /// Creates an empty place for messages.
    async fn create(&self, place: &str) -> anyhow::Result<()>;

    /// Publishes actions and waits for all confirmations.
    async fn produce(&self, place: &str, count: u64) -> anyhow::Result<()>;

    /// The options of the provider that publishes to the place, in TOML.
    fn provider(&self, place: &str) -> String;

    /// The ids of the actions at the place. Waits for them.
    async fn ids(&self, place: &str, count: u64) -> anyhow::Result<Vec<String>>;
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(compare_all(options))
}

async fn compare_all(options: &Options) -> anyhow::Result<Report> {
    let kafka = Kafka::start().await?;
    let mut report = Report::new("sinks");
    for (topic, count) in [("all", options.records), ("some", options.messages)] {
        kafka.create_topic(topic, PARTITIONS).await?;
        kafka.produce(topic, count).await?;
    }
    let all = Arriving {
        kafka: &kafka,
        topic: "all",
        count: options.records,
    };
    let some = Arriving {
        topic: "some",
        count: options.messages,
        ..all
    };
    compare(&kafka, &all, options.runs, &mut report).await?;
    let nats = Nats::start().await?;
    compare(&nats, &some, options.runs, &mut report).await?;
    drop(nats);
    let rabbit = Rabbit::start().await?;
    compare(&rabbit, &some, options.runs, &mut report).await?;
    Ok(report)
}

/// The actions that the server reads.
#[derive(Clone, Copy)]
struct Arriving<'a> {
    kafka: &'a Kafka,
    topic: &'static str,
    count: u64,
}

async fn compare<D: Destination>(
    destination: &D,
    arriving: &Arriving<'_>,
    runs: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    let count = arriving.count;
    let mut ratios = Vec::new();
    for number in 1..=runs {
        let bare_place = format!("bare-{number}");
        let place = format!("leaving-{number}");
        destination.create(&bare_place).await?;
        destination.create(&place).await?;
        let start = Instant::now();
        destination.produce(&bare_place, count).await?;
        let bare = count as f64 / start.elapsed().as_secs_f64();
        let acteon = relay(arriving, &destination.provider(&place)).await?;
        ensure_once(destination.ids(&place, count).await?, count)?;
        for (who, rate) in [("bare producer", bare), ("acteon", acteon)] {
            let what = format!("{}, run {number}: {who}", D::NAME);
            report.row(what, &[("records/s", rate)]);
        }
        ratios.push(acteon / bare);
    }
    let what = format!("kafka to {} / bare producer, median", D::NAME);
    report.at_least(what, median(ratios), GOAL);
    Ok(())
}

/// Runs the server until it has published all records. Returns the records per second from the first ones on: the start
/// of the server and of its consumer group is no part of a producer's work.
async fn relay(arriving: &Arriving<'_>, provider: &str) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = configure(folder.path(), arriving, provider)?;
    let port_text = port.to_string();
    let arguments = ["-c", &config, "--port", &port_text].map(str::to_owned);
    let log = folder.path().join("log");
    let mut process = Measured::start(&server_binary()?, &arguments, &log)?;
    until_ready(port, "/health", Duration::from_secs(10)).await?;
    let first = until_counted(port, "executed", 1, TIMEOUT).await?;
    let start = Instant::now();
    let first = first["executed"].as_u64().context("a counter")?;
    let counters = until_counted(port, "executed", arriving.count, TIMEOUT).await?;
    let seconds = start.elapsed().as_secs_f64();
    process.still_runs(&log)?;
    ensure!(counters["executed"] == arriving.count, "{counters}");
    Ok((arriving.count - first) as f64 / seconds)
}

fn configure(folder: &Path, arriving: &Arriving<'_>, provider: &str) -> anyhow::Result<String> {
    let group = uuid::Uuid::now_v7();
    let text = format!(
        "[audit]\nenabled = false\n\n[[sources]]\nname = \"bench\"\ntype = \"kafka\"\nbrokers = \"{}\"\n\
         topics = [\"{}\"]\ngroup_id = \"{group}\"\n\n[[providers]]\nname = \"{PROVIDER}\"\n\
         max_concurrent = {UNCONFIRMED_MAX}\n{provider}\n",
        arriving.kafka.bootstrap(),
        arriving.topic,
    );
    let path = folder.join("acteon.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

/// Fails unless each action is there once.
fn ensure_once(ids: Vec<String>, count: u64) -> anyhow::Result<()> {
    let mut seen = vec![false; usize::try_from(count)?];
    for id in ids {
        let number: usize = id.parse()?;
        ensure!(
            !std::mem::replace(&mut seen[number], true),
            "{number} came twice"
        );
    }
    let found = seen.into_iter().filter(|seen| *seen).count();
    ensure!(found as u64 == count, "{found} of {count} at the far end");
    Ok(())
}

fn action(number: u64) -> Vec<u8> {
    action_for(PROVIDER, number, RECORD_BYTES)
}
