//! A topic of records consumed to its end: the server with rules and dedup in memory, and a bare consumer, one after
//! the other on the same topic of a real broker.

use std::path::Path;
use std::time::Duration;

use acteon_services::Kafka;
use anyhow::ensure;
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use tokio::time::Instant;

use crate::actions::{action, rules, unique_keys};
use crate::child::{Measured, free_port, server_binary, until_counted, until_ready};
use crate::floor::Fetching;
use crate::report::{Report, median};
use crate::topic::queue;

const TOPIC: &str = "bench";
const PARTITIONS: i32 = 6;
const TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Args)]
pub(crate) struct Options {
    /// How many records of 1 KiB.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// How many runs of each.
    #[arg(long, default_value_t = 5)]
    runs: u32,
}

/// The cost of one run.
struct Run {
    seconds: f64,
    cpu_seconds: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(compare(options))
}

async fn compare(options: &Options) -> anyhow::Result<Report> {
    let kafka = Kafka::start().await?;
    kafka.create_topic(TOPIC, PARTITIONS).await?;
    let brokers = kafka.bootstrap().to_owned();
    let records = options.records;
    let to = brokers.clone();
    tokio::task::spawn_blocking(move || produce(&to, records)).await??;
    // Not counted: the broker is still busy with the records just written when the first reader comes.
    floor(&brokers, records, Fetching::Steady)?;
    let mut report = Report::new("kafka");
    let mut pausing_rates = Vec::new();
    let mut pausing_audited = Vec::new();
    let mut rates = Vec::new();
    let mut costs = Vec::new();
    let mut audited_rates = Vec::new();
    for number in 1..=options.runs {
        let pausing = floor(&brokers, records, Fetching::Pausing)?;
        let bare = floor(&brokers, records, Fetching::Steady)?;
        let plain = server(&brokers, records, Audit::Off).await?;
        let audited = server(&brokers, records, Audit::Memory).await?;
        let runs = [
            ("bare, client's defaults", &pausing),
            ("bare, no pauses", &bare),
            ("acteon", &plain),
            ("acteon, memory audit", &audited),
        ];
        for (who, run) in runs {
            let figures = [
                ("records/s", records as f64 / run.seconds),
                ("CPU s/M", run.cpu_seconds * 1e6 / records as f64),
            ];
            report.row(format!("run {number}: {who}"), &figures);
        }
        pausing_rates.push(pausing.seconds / plain.seconds);
        pausing_audited.push(pausing.seconds / audited.seconds);
        rates.push(bare.seconds / plain.seconds);
        costs.push(plain.cpu_seconds / bare.cpu_seconds);
        audited_rates.push(bare.seconds / audited.seconds);
    }
    let ratios = [
        ("acteon / bare, client's defaults", pausing_rates, 0.6),
        ("the same with memory audit", pausing_audited, 0.4),
        ("acteon / bare, no pauses", rates, 0.6),
        ("the same with memory audit, no pauses", audited_rates, 0.4),
    ];
    for (what, ratios, goal) in ratios {
        report.at_least(what, median(ratios), goal);
    }
    report.at_most("CPU of acteon / bare, median", median(costs), 4.0);
    let executed = unique_keys(records);
    let doubled = records - unique_keys(records);
    report.row(
        "far end, every run",
        &[
            ("executed", executed as f64),
            ("deduplicated", doubled as f64),
            ("lost", 0.0),
        ],
    );
    Ok(report)
}

fn produce(brokers: &str, records: u64) -> anyhow::Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "20")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", "262144")
        .create()?;
    for number in 0..records {
        queue(&producer, TOPIC, number, &action(number))?;
    }
    Ok(producer.flush(Duration::from_secs(120))?)
}

fn floor(brokers: &str, records: u64, fetching: Fetching) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let records = records.to_string();
    let arguments = [
        "floor",
        "kafka",
        "--brokers",
        brokers,
        "--topic",
        TOPIC,
        "--records",
        &records,
        "--fetching",
        match fetching {
            Fetching::Pausing => "pausing",
            Fetching::Steady => "steady",
        },
    ];
    let arguments = arguments.map(str::to_owned);
    let start = Instant::now();
    let before = children_cpu_seconds()?;
    let log = folder.path().join("log");
    Measured::start(&std::env::current_exe()?, &arguments, &log)?.finish(&log)?;
    Ok(Run {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: children_cpu_seconds()? - before,
    })
}

/// The CPU time of children that have ended.
fn children_cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    Ok((fields[13].parse::<f64>()? + fields[14].parse::<f64>()?) / 100.0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Audit {
    Off,
    Memory,
}

async fn server(brokers: &str, records: u64, audit: Audit) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = configure(folder.path(), brokers, audit)?;
    let port_text = port.to_string();
    let arguments = ["-c", &config, "--port", &port_text].map(str::to_owned);
    let log = folder.path().join("log");
    let start = Instant::now();
    let mut process = Measured::start(&server_binary()?, &arguments, &log)?;
    until_ready(port, "/health", Duration::from_secs(10)).await?;
    let counters = until_counted(port, "dispatched", records, TIMEOUT).await?;
    let seconds = start.elapsed().as_secs_f64();
    process.still_runs(&log)?;
    let unique = unique_keys(records);
    ensure!(
        counters["executed"] == unique,
        "of {unique} unique records: {counters}"
    );
    ensure!(counters["deduplicated"] == records - unique, "{counters}");
    Ok(Run {
        seconds,
        cpu_seconds: process.cpu_seconds()?,
    })
}

fn configure(folder: &Path, brokers: &str, audit: Audit) -> anyhow::Result<String> {
    let rules_folder = folder.join("rules");
    std::fs::create_dir(&rules_folder)?;
    std::fs::write(rules_folder.join("bench.yaml"), rules(20))?;
    let rules = rules_folder.to_string_lossy();
    let audited = audit == Audit::Memory;
    let group = uuid::Uuid::now_v7();
    // As the guide recommends: one per core, and no more than partitions.
    let consumers = std::thread::available_parallelism()?
        .get()
        .min(PARTITIONS as usize);
    let text = format!(
        "[audit]\nenabled = {audited}\n\n[rules]\ndirectory = \"{rules}\"\n\n\
         [[sources]]\nname = \"bench\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{TOPIC}\"]\n\
         group_id = \"{group}\"\nconsumers = {consumers}\n\n[[providers]]\nname = \"discard\"\ntype = \"log\"\nwrite = false\n"
    );
    let path = folder.join("acteon.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}
