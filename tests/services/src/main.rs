//! `acteon-services fetch` downloads what the tests need beforehand, and reports its progress.
#![expect(clippy::print_stderr, reason = "a command tells its progress")]

use std::process::ExitCode;

use acteon_services::Kafka;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("fetch") || arguments.next().is_some() {
        eprintln!("usage: acteon-services fetch");
        return ExitCode::from(2);
    }
    eprintln!("Kafka: looking for its archives, else downloading them (up to a minute)");
    match Kafka::fetch().await {
        Ok(folder) => {
            eprintln!("Kafka: in {}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Kafka: {error:#}");
            ExitCode::FAILURE
        }
    }
}
