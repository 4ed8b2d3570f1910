//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    Check,
    /// What concerns the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a JSON Schema of the configuration file, for editors
    Schema,
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
