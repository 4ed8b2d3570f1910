//! The floors: the same work with nothing around it.

mod http;
mod kafka;

use clap::Subcommand;

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
    },
}

pub(crate) fn run(floor: Floor) -> anyhow::Result<()> {
    match floor {
        Floor::Http { port } => http::serve(port),
        Floor::Kafka {
            brokers,
            topic,
            records,
        } => kafka::consume(&brokers, &topic, records),
    }
}
