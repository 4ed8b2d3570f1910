//! The options of the `log` sink.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The options of a `log` provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The level of the line.
    pub level: LogLevel,
    /// Whether the line contains the payload.
    pub payload: bool,
    /// `false`: accept every action and write nothing, for load tests.
    pub write: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            payload: true,
            write: true,
        }
    }
}

/// The level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}
