//! The floors: the same work with nothing around it.

mod http;
mod kafka;

use clap::{Subcommand, ValueEnum};

#[derive(Subcommand)]
pub(crate) enum Floor {
    /// An axum handler that parses actions and answers.
    Http {
        #[arg(long)]
        port: u16,
    },
    /// A consumer that parses actions.
    Kafka {
        #[arg(long)]
        brokers: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        records: u64,
        #[arg(long)]
        fetching: Fetching,
    },
}

/// The Kafka client's behaviour when it has fetched enough for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fetching {
    /// It pauses for a second, its default.
    Pausing,
    /// It soon continues, as configured by Acteon.
    Steady,
}

pub(crate) fn run(floor: Floor) -> anyhow::Result<()> {
    match floor {
        Floor::Http { port } => http::serve(port),
        Floor::Kafka {
            brokers,
            topic,
            records,
            fetching,
        } => kafka::consume(&brokers, &topic, records, fetching),
    }
}
