//! `acteon-services fetch` downloads what the tests need beforehand, and reports its progress.
#![expect(clippy::print_stderr, reason = "a command reports its progress")]

use std::path::PathBuf;
use std::process::ExitCode;

use acteon_services::{Kafka, MailServer, Nats, Rabbit, schemathesis};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("fetch") || arguments.next().is_some() {
        eprintln!("usage: acteon-services fetch");
        return ExitCode::from(2);
    }
    eprintln!("Kafka: looking for its archives, or downloading them (up to a minute)");
    let kafka = report("Kafka", &Kafka::fetch().await);
    eprintln!("Schemathesis: looking for its packages, or downloading them (up to a minute)");
    let schemathesis = report("Schemathesis", &schemathesis::fetch().await);
    eprintln!("aiosmtpd: looking for its packages, or downloading them (a few seconds)");
    let mail = report("aiosmtpd", &MailServer::fetch().await);
    eprintln!("NATS: looking for its server, or building it (up to a minute)");
    let nats = report("NATS", &Nats::fetch().await);
    let rabbit = report("RabbitMQ", &Rabbit::fetch().await);
    match kafka && schemathesis && mail && nats && rabbit {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints the result. True if it succeeded.
fn report(name: &str, fetched: &anyhow::Result<PathBuf>) -> bool {
    match fetched {
        Ok(folder) => eprintln!("{name}: in {}", folder.display()),
        Err(error) => eprintln!("{name}: {error:#}"),
    }
    fetched.is_ok()
}
