//! The configuration as typed data: one struct per section, each with its defaults. Durations are written as bare
//! numbers, with the unit at the end of the key. The options of adapters and of the pipeline are defined by them.

mod adapted;
mod dead_letters;

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use acteon_core::seconds;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;

use crate::PipelineKeys;
use crate::section::Section;

pub(crate) use self::adapted::AdapterKeys;
pub use self::adapted::{Adapted, AuditKeys, ProviderKeys, RedactSettings, SourceKeys, StateKeys};
pub use self::dead_letters::{DeadLetterOverrides, DeadLetterSettings};

/// The whole configuration.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ResolvedConfig<P: PipelineKeys> {
    pub server: ServerSettings,
    pub admin: AdminSettings,
    pub state: StateSettings,
    pub audit: AuditSettings<P::TrailKeys>,
    pub rules: RulesSettings,
    pub dead_letters: DeadLetterSettings,
    pub log: LogSettings,
    /// The pipeline's sections.
    pub pipeline: P::Sections,
    /// All sources but HTTP, which is always there.
    pub sources: Vec<SourceSettings>,
    /// Empty if none is configured: then `log` delivers under every name.
    pub providers: Vec<ProviderSettings<P::ProviderKeys>>,
    /// The names that rules may refer to.
    pub names: ConfiguredNames,
    /// Locates errors found later.
    pub section: Section,
}

/// The names of all entries of a list in their order, including entries left out because they could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ConfiguredNames {
    pub providers: Vec<String>,
    pub state_machines: Vec<String>,
}

/// `[state]`.
pub type StateSettings = Adapted<StateKeys, States>;
/// `[audit]`.
pub type AuditSettings<T> = Adapted<AuditKeys<T>, acteon_core::audit::Audits>;
/// One of `[[sources]]`.
pub type SourceSettings = Adapted<SourceKeys, Sources>;
/// One of `[[providers]]`.
pub type ProviderSettings<K> = Adapted<ProviderKeys<K>, Sinks>;

/// The HTTP listener, and the limits on one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// The address or host name to listen on.
    #[schemars(length(min = 1))]
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The time to finish work in flight after a signal to stop.
    #[serde(rename = "shutdown_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(max = 3600))]
    pub shutdown_timeout: Duration,
    /// How long a connection may be idle: from its start or the end of a response to the first byte of a request.
    #[serde(rename = "idle_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub idle_timeout: Duration,
    /// The time limit for the head of a request, from its first byte.
    #[serde(rename = "head_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3600))]
    pub head_timeout: Duration,
    /// The maximum number of connections of one listener. At the maximum, a new connection replaces the one idle
    /// for longest.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// The maximum size of a request body.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_body_bytes: usize,
    /// The maximum number of actions in one batch request.
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

/// A separate listener for the admin API. Without it the admin API shares the server's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// The address or host name to listen on; the server's if only a port is given.
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// The port to listen on; the server's if only a host is given.
    pub port: Option<u16>,
}

impl AdminSettings {
    /// Host and port of the admin API's own listener, if it has one.
    pub fn listener<'a>(&'a self, server: &'a ServerSettings) -> Option<(&'a str, u16)> {
        let host = self.host.as_deref().unwrap_or(&server.host);
        let own = self.host.is_some() || self.port.is_some();
        own.then(|| (host, self.port.unwrap_or(server.port)))
    }
}

/// The source of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulesSettings {
    /// The directory of the rule files, relative to the configuration file. Without one there are no rules.
    pub directory: Option<PathBuf>,
    /// Whether changed files are loaded at once.
    pub watch: bool,
    /// Whether an empty rule set may replace one that has rules.
    pub allow_empty: bool,
    /// The IANA time zone of rules that name none.
    pub default_timezone: String,
    /// The environment variables that rules may read as `env.<NAME>`.
    pub environment: Vec<String>,
}

impl RulesSettings {
    /// Resolves the directory against the configuration file, not against the working directory.
    pub(crate) fn resolve_directory(&mut self, file: &Path) {
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

/// The log. `RUST_LOG` overrides the level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The format of lines. Default: text on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// The lowest level that is written.
    pub level: LogThreshold,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}

/// The lowest level of log lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogThreshold {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogThreshold {
    /// Its name in the configuration and in `RUST_LOG`.
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
