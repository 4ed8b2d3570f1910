//! The log of the process: text on a terminal, else JSON. A separate thread writes it to standard error.

mod events;
mod json;
mod queue;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use acteon_config::{Location, LogFormat, LogSettings, Problem};
use tracing_subscriber::EnvFilter;

pub(crate) use self::queue::LogQueue;

/// The variable that overrides the configured level.
const VARIABLE: &str = "RUST_LOG";
/// What client libraries log. The adapters report the same in their lines.
const OF_CLIENTS: &str = ",librdkafka=warn,async_nats=off,lapin=off";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// How long the process waits at exit for lines to be written.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The log of the process. Dropping it waits briefly for the remaining lines to be written.
pub(crate) struct ProcessLog(LogQueue);

impl ProcessLog {
    /// Writes the lines held back so far, and later lines at once. A server that cannot start never calls this: its
    /// mistakes are printed as plain text, with nothing before them.
    pub(crate) fn begin(&self) {
        self.0.release();
    }
}

impl Drop for ProcessLog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.begin();
        }
        self.0.drain(DRAIN_TIMEOUT);
    }
}

/// The mistake in `RUST_LOG`, if there is one.
pub(crate) fn problem() -> Option<Problem> {
    from_variable()?.err()
}

/// Starts logging to standard error. Lines are held back until [`ProcessLog::begin`]; the first names the configuration
/// file. `RUST_LOG` overrides the configured level. The recorder of the metrics must be installed first.
pub(crate) fn start(settings: &LogSettings, config: Option<&Path>) -> io::Result<ProcessLog> {
    let filter = from_variable()
        .and_then(Result::ok)
        .unwrap_or_else(|| EnvFilter::new(format!("{}{OF_CLIENTS}", settings.level.as_str())));
    let format = settings.format.unwrap_or_else(|| {
        if io::stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        }
    });
    // A duplicate of the descriptor: a blocked write must not hold the lock of `io::stderr`.
    let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let lines = LogQueue::to(file)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(lines.clone());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.event_format(json::JsonFormat).init(),
    }
    std::panic::set_hook(Box::new(events::panicked));
    events::starting(config);
    Ok(ProcessLog(lines))
}

fn from_variable() -> Option<Result<EnvFilter, Problem>> {
    let text = std::env::var_os(VARIABLE).filter(|text| !text.is_empty())?;
    Some(filter(&text.to_string_lossy()))
}

/// Reads a filter. The library takes a word that is not a level for a target that logs everything, so a misspelt level
/// is refused here.
fn filter(text: &str) -> Result<EnvFilter, Problem> {
    let wrong = |message: String| {
        let location = Location::Variable(VARIABLE.to_owned());
        Problem::new(location, "", &message)
    };
    let words = text.split(',').map(str::trim);
    let mut misspelt = words.filter_map(|word| Some((word, nearest(word.rsplit('=').next()?)?)));
    if let Some((word, level)) = misspelt.next() {
        return Err(wrong(format!(
            "`{word}` is not a log level; did you mean `{level}`?"
        )));
    }
    EnvFilter::builder().parse(text).map_err(|_| {
        let levels = LEVELS.join(", ");
        wrong(format!(
            "`{text}` is not a filter: that is a level ({levels}), or targets with levels such as \
             `info,acteon_pipeline=debug`"
        ))
    })
}

/// The level that a word probably misspells.
fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let near =
        |level: &&&str| strsim::damerau_levenshtein(&word, level) <= 1 || word.starts_with(**level);
    match LEVELS.contains(&word.as_str()) || word.contains(['[', ':']) {
        true => None,
        false => LEVELS
            .iter()
            .filter(|level| level.len() > 3)
            .find(near)
            .copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_with_what_is_meant() {
        let refusal = |text| filter(text).err().map(|problem| problem.to_string());
        for good in [
            "info",
            "WARN",
            "off",
            "",
            "acteon_server",
            "info,librdkafka=warn",
            "acteon=debug,hyper=off",
            "acteon_pipeline[span]=trace",
            "warning_service=info",
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
        let misspelt = |word, level| {
            Some(format!(
                "RUST_LOG: `{word}` is not a log level; did you mean `{level}`?"
            ))
        };
        assert_eq!(refusal("debgu"), misspelt("debgu", "debug"));
        assert_eq!(refusal("acteon=inof,info"), misspelt("acteon=inof", "info"));
        assert_eq!(refusal("information"), misspelt("information", "info"));
        let other = refusal("info,acteon=loud").unwrap();
        let expected =
            "RUST_LOG: `info,acteon=loud` is not a filter: that is a level (off, error, ";
        assert!(other.starts_with(expected), "{other}");
    }
}
