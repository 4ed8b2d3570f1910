//! The command line.

use std::path::PathBuf;

use acteon_server::FileOf;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Acteon: an action gateway. Decides whether, when and where actions really happen.
#[derive(Debug, Parser)]
#[command(name = "acteon-server", version)]
pub(crate) struct Arguments {
    /// The configuration file [default: acteon.toml if it is there]
    #[arg(short = 'c', long = "config", value_name = "PATH", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on; overrides the file and the environment
    #[arg(long, global = true)]
    pub(crate) host: Option<String>,
    /// The port to listen on; overrides the file and the environment
    #[arg(long, global = true)]
    pub(crate) port: Option<u16>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server (the default)
    Run,
    /// Validate configuration and rules without starting anything
    ///
    /// Builds everything that is configured, as `run` does, but connects to nothing. Warns about what is valid but
    /// probably not intended: rules that can never match, unknown providers, fields that no test has. Exits with 1 if
    /// there are mistakes.
    Check(CheckArguments),
    /// Run the rule tests of a directory, offline and in virtual time
    ///
    /// Exits with 0 if all pass, with 1 if one fails, and with 2 if nothing can run: there are no tests, or mistakes in
    /// the rules, the tests or the configuration.
    Test(TestArguments),
    /// Try one action against rules, offline
    ///
    /// Accepts the body of `POST /v1/rules/evaluate`, including `evaluate_at`, `evaluate_all` and `mock_state`, without
    /// which the state is empty. Prints the verdict, and the result of each rule with its reason. Exits with 0 if the
    /// action was evaluated, with 1 if a rule failed, and with 2 if there are mistakes in the rules, the action or the
    /// configuration.
    Eval(EvalArguments),
    /// Show the payload that the templates of a provider make of an action; sends nothing
    ///
    /// The action may lack any field. Prints the payload, or one field of it. Exits with 0 if all templates worked,
    /// with 1 if one failed, and with 2 if there is nothing to render.
    Render(RenderArguments),
    /// Copy the file of an embedded backend, also while a server uses it
    ///
    /// The copy is complete as of one moment. To restore it, stop the server and put the copy in the place of its file.
    Backup(BackupArguments),
    /// Encrypt a secret from standard input for use in the configuration as ENC[...]
    ///
    /// The key is 64 hex digits or the base64 of 32 bytes in the environment variable ACTEON_AUTH_KEY, or
    /// ACTEON_AUTH_KEY_<ID> for a key with an id. A line break at the end is not part of the secret.
    Encrypt(EncryptArguments),
    /// Print the configuration or its schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the schema of rule files
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Exit with 1 also if there are warnings
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Also try to connect to all configured brokers, providers and backends
    #[arg(long)]
    pub(crate) connect: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The file to create
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Which file to copy, if state and audit have two
    #[arg(long, value_name = "SECTION")]
    pub(crate) of: Option<FileOf>,
}

#[derive(Debug, Args)]
pub(crate) struct EncryptArguments {
    /// The id of the key: letters, digits, `-` and `_`
    #[arg(long, value_name = "ID")]
    pub(crate) kid: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// The directory of the rules and their *.test.yaml files [default: `rules.directory` of the configuration]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Run only tests whose name contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// List how often the tests matched each rule
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Also write the report as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    /// A file of rules, or a directory of them [default: `rules.directory` of the configuration]
    #[arg(short = 'f', long, value_name = "RULES")]
    pub(crate) rules: Option<PathBuf>,
    /// The file of the action, as JSON [default: standard input]
    #[arg(value_name = "ACTION")]
    pub(crate) action: Option<PathBuf>,
    /// Print the response of the API
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    /// The name of the provider
    #[arg(value_name = "PROVIDER")]
    pub(crate) provider: String,
    /// The file of the action, as JSON; `-` is standard input [default: `example.json` beside the templates]
    #[arg(value_name = "ACTION")]
    pub(crate) action: Option<PathBuf>,
    /// The type of an action that names none
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) action_type: Option<String>,
    /// Print only this field of the payload, a text as it is
    #[arg(long, value_name = "FIELD")]
    pub(crate) field: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a JSON Schema of the configuration file, for editors
    Schema,
    /// Print the effective configuration, each value with its origin; secrets are hidden
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Print a JSON Schema of rule files, for editors
    Schema,
}

/// The completion script for a shell.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(shell, &mut command, "acteon-server", &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

impl Arguments {
    /// The flags as dotted keys.
    pub(crate) fn flags(&self) -> Vec<(String, String)> {
        let host = self
            .host
            .clone()
            .map(|host| ("server.host".to_owned(), host));
        let port = self
            .port
            .map(|port| ("server.port".to_owned(), port.to_string()));
        host.into_iter().chain(port).collect()
    }
}
