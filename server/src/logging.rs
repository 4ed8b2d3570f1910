//! The log of the process: text on a terminal, else JSON. A separate thread writes it to standard error.

mod events;
mod json;
mod lines;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use acteon_config::{LogFormat, LogSettings, Place, Problem};
use tracing_subscriber::EnvFilter;

pub(crate) use self::lines::Lines;

/// The variable that wins over the configured level.
const VARIABLE: &str = "RUST_LOG";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
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

/// What is wrong with `RUST_LOG`, if it is set.
pub(crate) fn problem() -> Option<Problem> {
    from_variable()?.err()
}

/// Starts logging to standard error, held back until [`Log::begin`]; the first line names the file of the configuration.
/// `RUST_LOG` wins over the configured level. The recorder of the metrics must be installed first.
pub(crate) fn start(settings: &LogSettings, config: Option<&Path>) -> io::Result<Log> {
    let filter = from_variable()
        .and_then(Result::ok)
        .unwrap_or_else(|| EnvFilter::new(format!("{},librdkafka=warn", settings.level.as_str())));
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

fn from_variable() -> Option<Result<EnvFilter, Problem>> {
    let text = std::env::var_os(VARIABLE).filter(|text| !text.is_empty())?;
    Some(filter(&text.to_string_lossy()))
}

/// Reads a filter. A word that is no level is a target that writes everything, which nobody means who misspells a level.
fn filter(text: &str) -> Result<EnvFilter, Problem> {
    let wrong = |message: String| {
        let place = Place::Variable(VARIABLE.to_owned());
        Problem::new(place, "", &message)
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

/// The level that a word is near to and is not.
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
        let told = |text| filter(text).err().map(|problem| problem.to_string());
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
            assert_eq!(told(good), None, "{good}");
        }
        let meant = |word, level| {
            Some(format!(
                "RUST_LOG: `{word}` is not a log level; did you mean `{level}`?"
            ))
        };
        assert_eq!(told("debgu"), meant("debgu", "debug"));
        assert_eq!(told("acteon=inof,info"), meant("acteon=inof", "info"));
        assert_eq!(told("information"), meant("information", "info"));
        let other = told("info,acteon=loud").unwrap();
        let expected =
            "RUST_LOG: `info,acteon=loud` is not a filter: that is a level (off, error, ";
        assert!(other.starts_with(expected), "{other}");
    }
}
