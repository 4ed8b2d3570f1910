//! The log of the process: text for people, JSON for machines.

use std::io::IsTerminal;

use acteon_config::{LogFormat, LogSettings};
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `RUST_LOG` wins over the configured level.
pub(crate) fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{},librdkafka=warn", settings.level.as_str())));
    let format = settings.format.unwrap_or_else(|| {
        if std::io::stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        }
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
