//! The log of the process: text on a terminal, else JSON. A separate thread writes it to standard error.

mod events;
mod json;
mod lines;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use acteon_config::{LogFormat, LogSettings};
use tracing_subscriber::EnvFilter;

pub(crate) use self::lines::Lines;

/// How long the process waits at its end for lines to be written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The log. Dropping it waits a moment for the remaining lines to be written.
pub(crate) struct Log(Lines);

impl Log {
    /// Writes the lines held back so far, and from now on each line at once. A server that cannot start never gets here:
    /// its mistakes are printed as plain text, with nothing before them.
    pub(crate) fn begin(&self) {
        self.0.release();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.begin();
        }
        self.0.drain(LAST_LINES);
    }
}

/// Starts logging to standard error, held back until [`Log::begin`]; the first line names the file of the configuration. `RUST_LOG` wins over the
/// configured level. The recorder of the metrics must be installed first.
pub(crate) fn start(settings: &LogSettings, config: Option<&Path>) -> io::Result<Log> {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{},librdkafka=warn", settings.level.as_str())));
    let format = settings.format.unwrap_or_else(|| {
        if io::stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        }
    });
    // A duplicate of the descriptor: a blocked write must not hold the lock of `io::stderr`.
    let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let lines = Lines::to(file)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(lines.clone());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.event_format(json::Json).init(),
    }
    std::panic::set_hook(Box::new(events::panicked));
    events::starting(config);
    Ok(Log(lines))
}
