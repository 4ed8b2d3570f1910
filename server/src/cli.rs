//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Acteon: an action gateway. Decides whether, when and where actions really happen.
#[derive(Debug, Parser)]
#[command(name = "acteon-server", version)]
pub(crate) struct Arguments {
    /// The configuration file [default: acteon.toml if it is there]
    #[arg(short = 'c', long = "config", value_name = "PATH", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on; wins over the file and the environment
    #[arg(long, global = true)]
    pub(crate) host: Option<String>,
    /// The port to listen on; wins over the file and the environment
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
    /// Builds all that is configured, as `run` does, and connects to nothing. Warns about what is allowed and yet hardly
    /// meant: rules that can never match, providers that nobody has, fields that no test has. Ends with 1 when something is
    /// wrong.
    Check(CheckArguments),
    /// Run the rule tests of a directory, offline and in virtual time
    ///
    /// Ends with 0 when all pass, with 1 when one fails, and with 2 when there is nothing to run: no tests, or mistakes
    /// in the rules, the tests or the configuration.
    Test(TestArguments),
    /// Try one action against rules, offline
    ///
    /// Takes what `POST /v1/rules/evaluate` takes, so also `evaluate_at`, `evaluate_all` and `mock_state`; without the
    /// latter the state is empty. Shows the verdict, and what each rule did and why. Ends with 0 when it was evaluated,
    /// with 1 when a rule failed, and with 2 when nothing was evaluated: mistakes in the rules, the action or the
    /// configuration.
    Eval(EvalArguments),
    /// Encrypt a secret from standard input, to be put into the configuration as ENC[...]
    ///
    /// The key is 64 hex digits or the base64 of 32 bytes, in the environment variable ACTEON_AUTH_KEY; that of an id in
    /// ACTEON_AUTH_KEY_<ID>. The end of the last line is not part of the secret.
    Encrypt(EncryptArguments),
    /// What concerns the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// What concerns rule files
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Print completions for a shell
    Completions {
        /// The shell that reads them
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// End with 1 when there are warnings, too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Also try to reach the brokers, providers and backends that are configured
    #[arg(long)]
    pub(crate) connect: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EncryptArguments {
    /// The id of the key: letters, digits, `-` and `_`
    #[arg(long, value_name = "ID")]
    pub(crate) kid: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// The rules and, beside them, the files *.test.yaml [default: `rules.directory` of the configuration]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Only tests whose name holds this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// List all rules with how often the tests matched them
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Write the report as JUnit XML, too
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
    /// Print what the API would answer
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a JSON Schema of the configuration file, for editors
    Schema,
    /// Print the effective configuration, each value with where it comes from; secrets are hidden
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Print a JSON Schema of rule files, for editors
    Schema,
}

/// What completes the command line in this shell.
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
