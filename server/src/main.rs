//! The binary: runs the command given on the command line. Everything else is in the library.

mod cli;
mod logging;
mod output;
mod watchdog;

use std::fmt::Display;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use acteon_config::{DEFAULT_FILE, Inputs, ProblemList};
use acteon_rule_tests::{Counting, Selection};
use acteon_server::eval::{self, ActionInput, EvaluationReport};
use acteon_server::render::RenderRequest;
use acteon_server::{
    AdapterSet, Assembly, Config, ConfigFile, Metrics, Purpose, ShutdownOutcome, Signals, backup,
    check, render, test,
};
use anyhow::Context;
use clap::Parser;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{
    Arguments, BackupArguments, CheckArguments, Command, ConfigCommand, EncryptArguments,
    EvalArguments, RenderArguments, RulesCommand, TestArguments,
};
use crate::output::{print, print_error, print_on_terminal};

/// The maximum read from standard input for a secret. It exceeds what can be encrypted.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// The exit status of `test`, `eval` and `render` if nothing ran. A test or a rule that fails makes it 1.
const NOTHING_RUN: u8 = 2;

/// The exit status of the server if work was cut off.
const CUT_OFF: u8 = 3;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            print_error(&format!("{error:#}"));
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
            print(&serde_json::to_string_pretty(&adapters.schema())?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Config(ConfigCommand::Show)) => {
            print(adapters.show(&inputs)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Rules(RulesCommand::Schema)) => {
            print(&serde_json::to_string_pretty(&acteon_rules::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Backup(wanted)) => back_up(adapters.load(&inputs)?, wanted),
        Some(Command::Encrypt(wanted)) => encrypt(wanted, &inputs),
        Some(Command::Check(wanted)) => validate(read(&inputs, &adapters), wanted),
        Some(Command::Completions { shell }) => {
            print(&cli::completions(*shell));
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Test(wanted)) => Ok(test_rules(&inputs, &adapters, wanted).unwrap_or_else(
            |error| {
                print_error(&format!("{error:#}"));
                ExitCode::from(NOTHING_RUN)
            },
        )),
        Some(Command::Eval(wanted)) => Ok(evaluate(&inputs, &adapters, wanted).unwrap_or_else(
            |error| {
                print_error(&format!("{error:#}"));
                ExitCode::from(NOTHING_RUN)
            },
        )),
        Some(Command::Render(wanted)) => Ok(render_action(&inputs, &adapters, wanted)
            .unwrap_or_else(|error| {
                print_error(&format!("{error:#}"));
                ExitCode::from(NOTHING_RUN)
            })),
        None | Some(Command::Run) => run(read(&inputs, &adapters)),
    }
}

/// The variables that are valid text. Others cannot be settings.
fn environment() -> Vec<(String, String)> {
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.collect()
}

/// Reads the configuration and `RUST_LOG`.
fn read(inputs: &Inputs, adapters: &AdapterSet) -> ConfigFile {
    let mut file = adapters.read(inputs);
    file.problems.extend(logging::problem());
    file
}

/// Copies the file of an embedded backend.
fn back_up(config: Config, wanted: &BackupArguments) -> anyhow::Result<ExitCode> {
    let to = wanted.file.display();
    let from = runtime()?.block_on(backup::back_up(config, wanted.of, &wanted.file))?;
    print(&format!("copied {} to {to}", from.display()));
    Ok(ExitCode::SUCCESS)
}

/// Encrypts standard input.
fn encrypt(wanted: &EncryptArguments, inputs: &Inputs) -> anyhow::Result<ExitCode> {
    let mut secret = String::new();
    std::io::stdin()
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut secret)
        .context("reading the secret from standard input")?;
    let secret = acteon_config::without_line_end(&secret);
    print(&acteon_config::encrypt(
        secret,
        wanted.kid.as_deref(),
        &inputs.environment,
    )?);
    Ok(ExitCode::SUCCESS)
}

/// Reports all mistakes and warnings, or that there are none.
fn validate(file: ConfigFile, wanted: &CheckArguments) -> anyhow::Result<ExitCode> {
    let read_from = read_from(&file);
    let (metrics, _) = Metrics::detached();
    let runtime = runtime()?;
    let checked = runtime.block_on(async {
        let checked = check::check(file, metrics).await?;
        let unreached = match wanted.connect {
            true => connect(&checked.assembly).await,
            false => ProblemList::default(),
        };
        anyhow::Ok((checked, unreached))
    });
    // Does not wait for a lookup that hangs.
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
    print(&format!("all is well with {read_from}{warned}: {counts}"));
    Ok(match wanted.deny_warnings && !checked.warnings.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Prints the services that were reached, and returns the errors of the others.
async fn connect(assembly: &Assembly) -> ProblemList {
    let mut unreached = ProblemList::default();
    for result in assembly.connect().await {
        let name = result.name;
        match result.reached {
            Ok(Some(service)) => print(&format!("{name}: {service}")),
            Ok(None) => print(&format!("{name}: nothing to connect to")),
            Err(problem) => unreached.extend([problem]),
        }
    }
    unreached
}

/// The name of the file that was read, for messages.
fn read_from(file: &ConfigFile) -> String {
    let absolute = |path: &Path| {
        let absolute = std::path::absolute(path);
        absolute
            .unwrap_or_else(|_| path.to_owned())
            .display()
            .to_string()
    };
    match &file.file {
        Some(path) => absolute(path),
        None => format!(
            "the defaults (there is no {})",
            absolute(Path::new(DEFAULT_FILE))
        ),
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Prints the warnings, and returns their number as text.
fn warn(warnings: &[impl Display]) -> String {
    for warning in warnings {
        print_error(&format!("warning: {warning}"));
    }
    match warnings.len() {
        0 => String::new(),
        many => format!(" but for {}", count(many, "warning")),
    }
}

/// Runs rule tests and prints the results.
fn test_rules(
    inputs: &Inputs,
    adapters: &AdapterSet,
    wanted: &TestArguments,
) -> anyhow::Result<ExitCode> {
    let config = adapters.load(inputs)?;
    let suite = test::suite(&config, wanted.directory.as_deref())?;
    warn(suite.warnings());
    let selection = Selection {
        filter: wanted.filter.clone(),
        coverage: if wanted.coverage {
            Counting::On
        } else {
            Counting::Off
        },
    };
    let report = suite.run(&selection, |file| print(&file.to_string()))?;
    if report.tests() == 0 {
        let filter = wanted.filter.as_deref().unwrap_or_default();
        anyhow::bail!("no test has a name that contains \"{filter}\"");
    }
    print(&format!("{}\n{}", report.failures(), report.summary()));
    if wanted.coverage {
        print(&format!("\n{}", report.coverage));
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

/// Evaluates one action and prints the result.
fn evaluate(
    inputs: &Inputs,
    adapters: &AdapterSet,
    wanted: &EvalArguments,
) -> anyhow::Result<ExitCode> {
    let config = adapters.load(inputs)?;
    let input = ActionInput::read(wanted.action.as_deref(), config.server.max_body_bytes)?;
    let result = eval::evaluate(&config, wanted.rules.as_deref(), &input)?;
    warn(&result.warnings);
    let evaluation = &result.evaluation;
    print(&match wanted.json {
        true => serde_json::to_string_pretty(evaluation)?,
        false => EvaluationReport(evaluation).to_string(),
    });
    Ok(match evaluation.has_errors {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Renders one action and prints the payload.
fn render_action(
    inputs: &Inputs,
    adapters: &AdapterSet,
    wanted: &RenderArguments,
) -> anyhow::Result<ExitCode> {
    let config = adapters.load(inputs)?;
    let read = |path: &Path| ActionInput::read(Some(path), config.server.max_body_bytes);
    let input = wanted.action.as_deref().map(read).transpose()?;
    let request = RenderRequest {
        provider: &wanted.provider,
        action: input.as_ref(),
        action_type: wanted.action_type.as_deref(),
    };
    let result = render::render(&config, &request)?;
    let shown = match &wanted.field {
        None => &result.payload,
        Some(field) => result
            .payload
            .get(field)
            .with_context(|| format!("the payload has no field `{field}`"))?,
    };
    print(&match shown {
        Value::String(text) if wanted.field.is_some() => text.clone(),
        shown => serde_json::to_string_pretty(shown)?,
    });
    for fault in &result.faults {
        print_error(&format!("error: {fault}"));
    }
    Ok(match result.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn run(file: ConfigFile) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install().context("starting the metrics")?;
    // Mistakes keep the server from starting, and are printed as plain text.
    let config = file.config.as_ref();
    let config = config.filter(|_| file.problems.is_empty());
    let log = config.map(|config| logging::start(&config.log, file.file.as_deref()));
    let log = log.transpose().context("starting the log")?;
    let runtime = runtime()?;
    let (server, signals) = runtime.block_on(async {
        let server = Assembly::build(file, metrics, Purpose::Run)
            .await?
            .listen()
            .await?;
        print_on_terminal(&server.greeting());
        anyhow::Ok((server, Signals::of_process()?))
    })?;
    log.iter().for_each(logging::ProcessLog::begin);
    server.raise_file_limit();
    watchdog::start().context("listening for signals")?;
    let outcome = runtime.block_on(server.run(signals));
    // Does not wait again for what was cut off.
    runtime.shutdown_background();
    Ok(match outcome {
        ShutdownOutcome::Complete => ExitCode::SUCCESS,
        ShutdownOutcome::CutOff => ExitCode::from(CUT_OFF),
    })
}

/// The stack of a thread. Only what is used takes memory. The values of a template may be nested as deep as its bound on
/// work allows.
const STACK_BYTES: usize = 64 << 20;

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("starting the runtime")
}
