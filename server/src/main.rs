//! The binary: reads the command line and does as it says. All else is in the library.

mod cli;
mod logging;

use std::process::ExitCode;

use acteon_config::{Inputs, LogSettings, Settings};
use acteon_server::{AdapterSet, Server, Signals, check};
use anyhow::Context;
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::cli::{Arguments, Command, ConfigCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let adapters = AdapterSet::built_in();
    let inputs = Inputs {
        path: arguments.config.clone(),
        environment: std::env::vars().collect(),
        flags: arguments.flags(),
    };
    match &arguments.command {
        Some(Command::Config(ConfigCommand::Schema)) => {
            say(&serde_json::to_string_pretty(&acteon_config::schema(
                &adapters.as_known(),
            ))?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Check) => Ok(validate(&inputs, &adapters)),
        None | Some(Command::Run) => {
            let settings = acteon_config::load(&inputs, &adapters.as_known())?;
            run(settings)
        }
    }
}

/// Reports all that is wrong, or that nothing is.
fn validate(inputs: &Inputs, adapters: &AdapterSet) -> ExitCode {
    let settings = match acteon_config::load(inputs, &adapters.as_known()) {
        Ok(settings) => settings,
        Err(errors) => {
            complain(&errors.to_string());
            return ExitCode::FAILURE;
        }
    };
    match check::rules(&settings) {
        Ok(rules) => {
            let (sources, providers) = (settings.sources.len(), settings.providers.len());
            say(&format!(
                "all is well: {sources} sources, {providers} providers, {rules} rules"
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&LogSettings::clone(&settings.log));
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .context("starting the metrics")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let server = Server::build(settings, metrics).await?;
        say(&server.greeting());
        Ok(server.run(Signals::of_process()?).await?)
    });
    // What was abandoned is not waited for again.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "before the log begins there is nothing else"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}
