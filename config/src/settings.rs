//! The configuration as typed data: one struct a section, each with its defaults. Durations are written as bare
//! numbers whose unit ends the key's name. What adapters take beside these keys is theirs.

mod adapted;
mod dead_letters;
mod limits;
mod redelivery;
mod units;

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;

use crate::whole::Section;

pub(crate) use self::adapted::Keys;
pub use self::adapted::{
    Adapted, AuditDelivery, AuditKeys, ProviderKeys, RedactSettings, SourceKeys, StateKeys,
};
pub use self::dead_letters::{DeadLetterOverrides, DeadLetterSettings};
pub use self::limits::{
    Breaker, BreakerOverrides, CircuitBreakerSettings, ExecutorSettings, OnStateError,
    PipelineSettings,
};
pub use self::redelivery::{Redelivery, RedeliveryOverrides, RedeliverySettings};

/// The whole configuration.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub server: ServerSettings,
    pub admin: AdminSettings,
    pub state: StateSettings,
    pub audit: AuditSettings,
    pub rules: RulesSettings,
    pub executor: ExecutorSettings,
    pub pipeline: PipelineSettings,
    pub circuit_breaker: CircuitBreakerSettings,
    pub redelivery: RedeliverySettings,
    pub dead_letters: DeadLetterSettings,
    pub log: LogSettings,
    /// Beside HTTP, which is always there.
    pub sources: Vec<SourceSettings>,
    /// Empty when none is configured: then `log` serves under every name.
    pub providers: Vec<ProviderSettings>,
    /// The names of all providers in their order, also of those that were left out because they cannot be read.
    pub providers_named: Vec<String>,
    /// The whole as it was written.
    pub section: Section,
}

/// `[state]`.
pub type StateSettings = Adapted<StateKeys, States>;
/// `[audit]`.
pub type AuditSettings = Adapted<AuditKeys, acteon_core::audit::Audits>;
/// One of `[[sources]]`.
pub type SourceSettings = Adapted<SourceKeys, Sources>;
/// One of `[[providers]]`.
pub type ProviderSettings = Adapted<ProviderKeys, Sinks>;

/// Where HTTP is served, and how much one request may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// The address or host name to listen on.
    #[schemars(length(min = 1))]
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// How long work in flight may take to finish after a signal to stop.
    #[serde(rename = "shutdown_timeout_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(max = 3600))]
    pub shutdown_timeout: Duration,
    /// How long a connection may be idle: from its beginning or the end of an answer to the first byte of a request.
    #[serde(rename = "idle_timeout_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub idle_timeout: Duration,
    /// How long the head of a request may take to come, from its first byte on.
    #[serde(rename = "head_timeout_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3600))]
    pub head_timeout: Duration,
    /// The most connections of one listener. The one that has been idle for longest makes room for a new one.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// The largest request body that is read.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_body_bytes: usize,
    /// The most actions of one batch request.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_batch_actions: usize,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8080,
            shutdown_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            head_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            max_body_bytes: 2 << 20,
            max_batch_actions: 1000,
        }
    }
}

/// A listener of its own for the admin API. Without it the admin API shares the server's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// The address or host name to listen on; the server's when only a port is given.
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// The port to listen on; the server's when only a host is given.
    pub port: Option<u16>,
}

impl AdminSettings {
    /// Host and port of the admin API's own listener, if it is to have one.
    pub fn listener<'a>(&'a self, server: &'a ServerSettings) -> Option<(&'a str, u16)> {
        let host = self.host.as_deref().unwrap_or(&server.host);
        let own = self.host.is_some() || self.port.is_some();
        own.then(|| (host, self.port.unwrap_or(server.port)))
    }
}

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulesSettings {
    /// The directory of the rule files, relative to the configuration file; without one there are no rules.
    pub directory: Option<PathBuf>,
    /// Whether a change of the files is loaded as it happens.
    pub watch: bool,
    /// Whether a set that has rules may be followed by one that has none.
    pub allow_empty: bool,
    /// The IANA time zone of rules that name none.
    pub default_timezone: String,
    /// The environment variables that rules may read as `env.<NAME>`.
    pub environment: Vec<String>,
}

impl RulesSettings {
    /// The directory is relative to the configuration file, and not to where the process happens to run.
    pub(crate) fn be_beside(&mut self, file: &Path) {
        if let (Some(directory), Some(folder)) = (&mut self.directory, file.parent()) {
            *directory = folder.join(&directory);
        }
    }
}

impl Default for RulesSettings {
    fn default() -> Self {
        Self {
            directory: None,
            watch: true,
            allow_empty: false,
            default_timezone: "UTC".into(),
            environment: Vec::new(),
        }
    }
}

/// The log. `RUST_LOG` wins over the level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How lines are written; by default as text on a terminal, else as JSON.
    pub format: Option<LogFormat>,
    /// The least important lines that are written.
    pub level: LogLevel,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}

/// How important a log line must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name in configuration and in `RUST_LOG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
