//! The binary: reads the command line and does as it says. All else is in the library.

mod cli;
mod logging;
mod output;
mod watchdog;

use std::path::Path;
use std::process::ExitCode;

use acteon_config::{DEFAULT_FILE, Inputs, Settings};
use acteon_core::rules::RuleProblem;
use acteon_rule_tests::{Counting, Selection};
use acteon_server::eval::{self, Given};
use acteon_server::{AdapterSet, Ended, Metrics, Server, Signals, check, test};
use anyhow::Context;
use clap::Parser;

use crate::cli::{
    Arguments, CheckArguments, Command, ConfigCommand, EvalArguments, RulesCommand, TestArguments,
};
use crate::output::{complain, greet, say};

/// How `test` and `eval` end when nothing was run: a test or a rule that fails ends them with 1.
const NOTHING_RUN: u8 = 2;

/// How the server ends when something was cut off.
const CUT_OFF: u8 = 3;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
        Some(Command::Rules(RulesCommand::Schema)) => {
            say(&serde_json::to_string_pretty(&acteon_rules::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Check(wanted)) => Ok(validate(&inputs, &adapters, wanted)),
        Some(Command::Test(wanted)) => Ok(test_rules(&inputs, &adapters, wanted).unwrap_or_else(
            |error| {
                complain(&format!("{error:#}"));
                ExitCode::from(NOTHING_RUN)
            },
        )),
        Some(Command::Eval(wanted)) => Ok(evaluate(&inputs, &adapters, wanted).unwrap_or_else(
            |error| {
                complain(&format!("{error:#}"));
                ExitCode::from(NOTHING_RUN)
            },
        )),
        None | Some(Command::Run) => {
            let settings = acteon_config::load(&inputs, &adapters.as_known())?;
            run(settings, file_read(&inputs))
        }
    }
}

/// Reports all that is wrong, or that nothing is, and what looks wrong.
fn validate(inputs: &Inputs, adapters: &AdapterSet, wanted: &CheckArguments) -> ExitCode {
    let settings = match acteon_config::load(inputs, &adapters.as_known()) {
        Ok(settings) => settings,
        Err(errors) => {
            complain(&errors.to_string());
            return ExitCode::FAILURE;
        }
    };
    let refused = check::adapters(&settings);
    let are_refused = !refused.is_empty();
    for error in refused.into_iter().map(anyhow::Error::new) {
        complain(&format!("{error:#}"));
    }
    match check::rules(&settings) {
        Ok(_) if are_refused => ExitCode::FAILURE,
        Ok(checked) => {
            let warned = warn(&checked.warnings);
            let (sources, providers) = (settings.sources.len(), settings.providers.len());
            let rules = checked.rules;
            say(&format!(
                "all is well{warned}: {sources} sources, {providers} providers, {rules} rules"
            ));
            if wanted.deny_warnings && !checked.warnings.is_empty() {
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Shows the warnings, and says how many there are.
fn warn(warnings: &[RuleProblem]) -> String {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    match warnings.len() {
        0 => String::new(),
        1 => " but for 1 warning".to_owned(),
        many => format!(" but for {many} warnings"),
    }
}

/// Runs rule tests and shows how they went.
fn test_rules(
    inputs: &Inputs,
    adapters: &AdapterSet,
    wanted: &TestArguments,
) -> anyhow::Result<ExitCode> {
    let settings = acteon_config::load(inputs, &adapters.as_known())?;
    let suite = test::suite(&settings, wanted.directory.as_deref())?;
    warn(suite.warnings());
    let selection = Selection {
        filter: wanted.filter.clone(),
        coverage: if wanted.coverage {
            Counting::On
        } else {
            Counting::Off
        },
    };
    let report = suite.run(&selection, |file| say(&file.to_string()))?;
    if report.tests() == 0 {
        let filter = wanted.filter.as_deref().unwrap_or_default();
        anyhow::bail!("the name of no test holds \"{filter}\"");
    }
    say(&format!("{}\n{}", report.failures(), report.summary()));
    if wanted.coverage {
        say(&format!("\n{}", report.coverage));
    }
    if let Some(path) = &wanted.junit {
        std::fs::write(path, report.junit()?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(match report.failed() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Evaluates one action and shows what the rules say.
fn evaluate(
    inputs: &Inputs,
    adapters: &AdapterSet,
    wanted: &EvalArguments,
) -> anyhow::Result<ExitCode> {
    let settings = acteon_config::load(inputs, &adapters.as_known())?;
    let given = Given::read(wanted.action.as_deref(), settings.server.max_body_bytes)?;
    let evaluated = eval::evaluate(&settings, wanted.rules.as_deref(), &given)?;
    warn(&evaluated.warnings);
    let evaluation = &evaluated.evaluation;
    say(&match wanted.json {
        true => serde_json::to_string_pretty(evaluation)?,
        false => eval::Told(evaluation).to_string(),
    });
    Ok(match evaluation.has_errors {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The configuration file that was read, if any.
fn file_read(inputs: &Inputs) -> Option<&Path> {
    let default = || Some(Path::new(DEFAULT_FILE)).filter(|file| file.exists());
    inputs.path.as_deref().or_else(default)
}

fn run(settings: Settings, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install().context("starting the metrics")?;
    let log = logging::start(&settings.log, file).context("starting the log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let (server, signals) = runtime.block_on(async {
        let server = Server::build(settings, metrics).await?;
        greet(&server.greeting());
        anyhow::Ok((server, Signals::of_process()?))
    })?;
    log.begin();
    watchdog::start().context("listening for signals")?;
    let ended = runtime.block_on(server.run(signals));
    // What was abandoned is not waited for again.
    runtime.shutdown_background();
    Ok(match ended {
        Ended::Whole => ExitCode::SUCCESS,
        Ended::CutOff => ExitCode::from(CUT_OFF),
    })
}
