//! POST /v1/dispatch and /v1/dispatch/batch over kept-alive connections, the server against a bare handler. The two run
//! alternately several times, so that a drift of the machine affects both.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use clap::Args;
use hyper::StatusCode;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::actions::action;
use crate::child::{Measured, counters, free_port, server_binary, until_ready};
use crate::connection::Connection;
use crate::report::{Report, median};

#[derive(Args)]
pub(crate) struct Options {
    /// How long each run lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many runs of each.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Batch,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Single => "http",
            Self::Batch => "batch",
        }
    }

    fn actions(self) -> u64 {
        match self {
            Self::Single => 1,
            Self::Batch => 100,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Single => "/v1/dispatch",
            Self::Batch => "/v1/dispatch/batch",
        }
    }

    fn body(self) -> Bytes {
        match self {
            Self::Single => action(7).into(),
            Self::Batch => {
                let actions: Vec<_> = (0..self.actions()).map(action).collect();
                [b"[".as_slice(), &actions.join(b",".as_slice()), b"]"]
                    .concat()
                    .into()
            }
        }
    }
}

/// The result of one run.
struct Run {
    actions_per_second: f64,
    cpu_per_million: f64,
    sent: u64,
}

pub(crate) fn run(options: &Options, shape: Shape) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(compare(options, shape))
}

async fn compare(options: &Options, shape: Shape) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    let floor_port = free_port()?;
    let port = free_port()?;
    let floor_arguments = ["floor", "http", "--port", &floor_port.to_string()].map(str::to_owned);
    let floor_log = folder.path().join("floor.log");
    let mut floor = Measured::start(&std::env::current_exe()?, &floor_arguments, &floor_log)?;
    let server_log = folder.path().join("server.log");
    let mut server = Measured::start(
        &server_binary()?,
        &arguments(folder.path(), port)?,
        &server_log,
    )?;
    until_ready(floor_port, "/health", Duration::from_secs(10)).await?;
    until_ready(port, "/health", Duration::from_secs(10)).await?;

    let mut report = Report::new(shape.name());
    let mut ratios = Vec::new();
    let mut sent = 0;
    for number in 1..=options.runs {
        let bare = measure(options, shape, floor_port, &floor).await?;
        let acteon = measure(options, shape, port, &server).await?;
        floor.still_runs(&floor_log)?;
        server.still_runs(&server_log)?;
        for (who, run) in [("bare", &bare), ("acteon", &acteon)] {
            let figures = [
                ("actions/s", run.actions_per_second),
                ("CPU s/M", run.cpu_per_million),
            ];
            report.row(format!("run {number}: {who}"), &figures);
        }
        sent += acteon.sent;
        ratios.push(acteon.actions_per_second / bare.actions_per_second);
    }
    let executed = counters(port).await?["executed"]
        .as_u64()
        .unwrap_or_default();
    ensure!(
        executed == sent,
        "{sent} actions were answered, {executed} executed"
    );
    report.row(
        "far end",
        &[
            ("executed", executed as f64),
            ("resident MiB", server.resident_mib()?),
        ],
    );
    report.at_least("acteon / bare, median", median(ratios), 0.7);
    Ok(report)
}

/// A server with one discarding provider and no rules.
fn arguments(folder: &Path, port: u16) -> anyhow::Result<Vec<String>> {
    let path = folder.join("acteon.toml");
    let text = "[audit]\nenabled = false\n\n[[providers]]\nname = \"discard\"\ntype = \"log\"\nwrite = false\n";
    std::fs::write(&path, text)?;
    let port = port.to_string();
    Ok(["-c", &path.to_string_lossy(), "--port", &port]
        .map(str::to_owned)
        .to_vec())
}

async fn measure(
    options: &Options,
    shape: Shape,
    port: u16,
    process: &Measured,
) -> anyhow::Result<Run> {
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let cpu_before = process.cpu_seconds()?;
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..options.connections {
        callers.spawn(call(port, shape, stop.clone(), answered.clone()));
    }
    sleep(Duration::from_secs(options.seconds)).await;
    stop.store(true, Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = process.cpu_seconds()? - cpu_before;
    let sent = answered.load(Relaxed) * shape.actions();
    Ok(Run {
        actions_per_second: sent as f64 / seconds,
        cpu_per_million: cpu * 1e6 / sent as f64,
        sent,
    })
}

/// One connection that sends the next request as soon as it has the answer.
async fn call(
    port: u16,
    shape: Shape,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(port).await?;
    let body = shape.body();
    while !stop.load(Relaxed) {
        let (status, text) = connection.post(shape.path(), body.clone()).await?;
        ensure!(status == StatusCode::OK, "answered {status}");
        let executed = memchr::memmem::find_iter(&text, b"\"Executed\"").count() as u64;
        ensure!(
            executed == shape.actions(),
            "{}",
            String::from_utf8_lossy(&text)
        );
        answered.fetch_add(1, Relaxed);
    }
    Ok(())
}
