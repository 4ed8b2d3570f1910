//! Speed and cost of Acteon, each measured against a floor in the same run: the same work done by hand with nothing
//! around it. A bench prints a table, writes JSON, and counts loss and duplicates at the far end.

mod actions;
mod chance;
mod child;
mod connection;
mod far_end;
mod floor;
mod groups;
mod http;
mod isolation;
mod kafka;
mod memory;
mod outage;
mod receiver;
mod report;
mod rules;
mod server;
mod sinks;
mod sqlite;
mod timers;
mod topic;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Measures Acteon against its floors.
#[derive(Parser)]
struct Arguments {
    /// Where to write the JSON results.
    #[arg(long, default_value = "bench-results", global = true)]
    results: PathBuf,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The time to decide: 10, 1,000 and 10,000 rules, with and without the index.
    Rules,
    /// 10,000 groups of 10 that are due within a second: how late their summaries are.
    Groups,
    /// POST /v1/dispatch on 64 connections against a bare axum handler.
    Http(http::Options),
    /// POST /v1/dispatch/batch of 100 against a bare axum handler.
    Batch(http::Options),
    /// A topic consumed, with dedup in memory, against a bare consumer.
    Kafka(kafka::Options),
    /// Healthy providers beside hung, slow and failing ones on one topic.
    Isolation(isolation::Options),
    /// The server's memory while 200 B to 2 MB bodies meet slow, hung and failing providers, against its bound.
    Memory(memory::Options),
    /// A provider away for 90 s while 100,000 actions arrive, half of them for it.
    Outage(outage::Options),
    /// One topic to another through a provider, against a bare producer with confirmations.
    Sinks(sinks::Options),
    /// Dedup and audit in SQLite, in batches of 256, against prepared statements.
    Sqlite(sqlite::Options),
    /// A million armed timers of events: their memory, and the CPU of a pipeline that waits for them.
    Timers,
    /// A floor, run as a separate process.
    #[command(subcommand, hide = true)]
    Floor(floor::Floor),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let report = match arguments.bench {
        Bench::Rules => rules::run()?,
        Bench::Groups => groups::run()?,
        Bench::Http(options) => http::run(&options, http::Shape::Single)?,
        Bench::Batch(options) => http::run(&options, http::Shape::Batch)?,
        Bench::Kafka(options) => kafka::run(&options)?,
        Bench::Isolation(options) => isolation::run(&options)?,
        Bench::Memory(options) => memory::run(&options)?,
        Bench::Outage(options) => outage::run(&options)?,
        Bench::Sinks(options) => sinks::run(&options)?,
        Bench::Sqlite(options) => sqlite::run(&options)?,
        Bench::Timers => timers::run()?,
        Bench::Floor(floor) => return floor::run(floor),
    };
    report.print();
    report
        .write(&arguments.results)
        .with_context(|| format!("writing results to {}", arguments.results.display()))
}
