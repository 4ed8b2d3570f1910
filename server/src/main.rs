//! The binary: reads the command line and does as it says. All else is in the library.

mod cli;
mod logging;
mod output;
mod watchdog;

use std::fmt::Display;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use acteon_config::{DEFAULT_FILE, Inputs, Problems, Reading};
use acteon_rule_tests::{Counting, Selection};
use acteon_server::eval::{self, Given};
use acteon_server::{AdapterSet, Assembly, Ended, Metrics, Signals, check, test};
use anyhow::Context;
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{
    Arguments, CheckArguments, Command, ConfigCommand, EncryptArguments, EvalArguments,
    RulesCommand, TestArguments,
};
use crate::output::{complain, greet, say};

/// How much of standard input is read for a secret: more than may be encrypted.
const SECRET_BYTES_MAX: u64 = 1 << 20;

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
        environment: environment(),
        flags: arguments.flags(),
    };
    match &arguments.command {
        Some(Command::Config(ConfigCommand::Schema)) => {
            say(&serde_json::to_string_pretty(&acteon_config::schema(
                &adapters.as_known(),
            ))?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Config(ConfigCommand::Show)) => {
            say(acteon_config::show(&inputs, &adapters.as_known())?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Rules(RulesCommand::Schema)) => {
            say(&serde_json::to_string_pretty(&acteon_rules::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Encrypt(wanted)) => encrypt(wanted, &inputs),
        Some(Command::Check(wanted)) => validate(read(&inputs, &adapters), wanted),
        Some(Command::Completions { shell }) => {
            say(&cli::completions(*shell));
            Ok(ExitCode::SUCCESS)
        }
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
        None | Some(Command::Run) => run(read(&inputs, &adapters)),
    }
}

/// The variables that are text; no others can be meant.
fn environment() -> Vec<(String, String)> {
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.collect()
}

/// Reads the configuration, and what else decides whether the server starts.
fn read(inputs: &Inputs, adapters: &AdapterSet) -> Reading {
    let mut reading = acteon_config::read(inputs, &adapters.as_known());
    reading.problems.extend(logging::problem());
    reading
}

/// Encrypts what comes in on standard input.
fn encrypt(wanted: &EncryptArguments, inputs: &Inputs) -> anyhow::Result<ExitCode> {
    let mut secret = String::new();
    std::io::stdin()
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut secret)
        .context("reading the secret from standard input")?;
    let secret = acteon_config::without_line_end(&secret);
    say(&acteon_config::encrypt(
        secret,
        wanted.kid.as_deref(),
        &inputs.environment,
    )?);
    Ok(ExitCode::SUCCESS)
}

/// Reports all that is wrong, or that nothing is, and what looks wrong.
fn validate(reading: Reading, wanted: &CheckArguments) -> anyhow::Result<ExitCode> {
    let read_from = read_from(&reading);
    let (metrics, _) = Metrics::detached();
    let runtime = runtime()?;
    let checked = runtime.block_on(async {
        let checked = check::check(reading, metrics).await?;
        let unreached = match wanted.connect {
            true => connect(&checked.assembly).await,
            false => Problems::default(),
        };
        anyhow::Ok((checked, unreached))
    });
    // A lookup that hangs is not waited for.
    runtime.shutdown_background();
    let (checked, unreached) = checked?;
    let warned = warn(&checked.warnings);
    unreached.or(())?;
    let counts = [
        count(checked.sources, "source"),
        count(checked.providers, "provider"),
        count(checked.rules, "rule"),
    ];
    let counts = counts.join(", ");
    say(&format!("all is well with {read_from}{warned}: {counts}"));
    Ok(match wanted.deny_warnings && !checked.warnings.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Says who was reached, and gives who was not.
async fn connect(assembly: &Assembly) -> Problems {
    let mut unreached = Problems::default();
    for contacted in assembly.connect().await {
        let name = contacted.name;
        match contacted.reached {
            Ok(Some(whom)) => say(&format!("{name}: {whom}")),
            Ok(None) => say(&format!("{name}: nothing to connect to")),
            Err(problem) => unreached.extend([problem]),
        }
    }
    unreached
}

/// What was read, as people call it.
fn read_from(reading: &Reading) -> String {
    let here = |path: &Path| {
        let whole = std::path::absolute(path);
        whole
            .unwrap_or_else(|_| path.to_owned())
            .display()
            .to_string()
    };
    match &reading.file {
        Some(file) => here(file),
        None => format!(
            "the defaults (there is no {})",
            here(Path::new(DEFAULT_FILE))
        ),
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Shows the warnings, and says how many there are.
fn warn(warnings: &[impl Display]) -> String {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    match warnings.len() {
        0 => String::new(),
        many => format!(" but for {}", count(many, "warning")),
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

fn run(reading: Reading) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install().context("starting the metrics")?;
    // With mistakes nothing starts, and they are told as plain text.
    let settings = reading.settings.as_ref();
    let settings = settings.filter(|_| reading.problems.is_empty());
    let log = settings.map(|settings| logging::start(&settings.log, reading.file.as_deref()));
    let log = log.transpose().context("starting the log")?;
    let runtime = runtime()?;
    let (server, signals) = runtime.block_on(async {
        let server = Assembly::build(reading, metrics).await?.listen().await?;
        greet(&server.greeting());
        anyhow::Ok((server, Signals::of_process()?))
    })?;
    log.iter().for_each(logging::Log::begin);
    watchdog::start().context("listening for signals")?;
    let ended = runtime.block_on(server.run(signals));
    // What was abandoned is not waited for again.
    runtime.shutdown_background();
    Ok(match ended {
        Ended::Whole => ExitCode::SUCCESS,
        Ended::CutOff => ExitCode::from(CUT_OFF),
    })
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}
