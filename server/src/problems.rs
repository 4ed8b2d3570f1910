//! Turns the errors of building and listening into problems of the configuration, each with its location.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::Path;

use acteon_config::{Location, Problem, ProblemList, Section};
use acteon_core::BuildError;
use acteon_core::rules::{RuleProblem, RulesError};

/// The part that was built, or `None` after adding the errors to `problems`.
pub(crate) fn report<T>(
    section: &Section,
    built: Result<T, BuildError>,
    problems: &mut ProblemList,
) -> Option<T> {
    let report = |error: BuildError| {
        problems.extend(error.each().map(|one| of_option(section, one)));
    };
    built.map_err(report).ok()
}

/// An option that cannot work.
pub(crate) fn of_option(section: &Section, error: &BuildError) -> Problem {
    section.problem(&error.option, &with_causes(&error.message, error))
}

/// `message`, followed by the causes of `error`.
pub(crate) fn with_causes(message: &str, error: &dyn Error) -> String {
    let mut text = message.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Why the rules of a directory cannot be loaded.
pub(crate) fn of_rules(
    section: &Section,
    directory: Option<&Path>,
    error: RulesError,
) -> Vec<Problem> {
    match error {
        RulesError::Invalid(problems) => {
            let problems = problems.iter();
            problems
                .map(|problem| of_rule(directory, problem))
                .collect()
        }
        error => {
            let message = with_causes(&error.to_string(), &error);
            vec![section.problem("rules.directory", &message)]
        }
    }
}

/// A problem of a rule file, whose name is relative to `directory`, or of the directory itself.
pub(crate) fn of_rule(directory: Option<&Path>, problem: &RuleProblem) -> Problem {
    let file = Path::new(&problem.file);
    let path = match directory {
        Some(directory) if directory != file => directory.join(file),
        _ => file.to_owned(),
    };
    let location = Location::File {
        file: path.display().to_string(),
        line: problem.line,
        column: problem.column,
    };
    Problem::new(location, "", &problem.message)
}

/// A problem if `path` is not a directory.
pub(crate) fn no_directory(section: &Section, path: &Path) -> Option<Problem> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let absolute = absolute.display();
    let message = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return None,
        Ok(_) => format!("`{absolute}` is a file, and the rules are read from a directory"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("there is no directory `{absolute}`")
        }
        Err(error) => format!("`{absolute}` cannot be read: {error}"),
    };
    Some(section.problem("rules.directory", &message))
}

/// Why an address cannot be bound.
pub(crate) fn of_listener(
    section: &Section,
    listener: &str,
    host: &str,
    port: u16,
    error: &io::Error,
) -> Problem {
    let variable = format!("ACTEON_{}__PORT", listener.to_uppercase());
    let flag = if listener == "server" {
        "`--port 8090`, "
    } else {
        ""
    };
    let another =
        format!("choose another port: {flag}`{variable}=8090`, or 0 for one that is free");
    let (key, message) = match error.kind() {
        ErrorKind::AddrInUse => {
            let message =
                format!("cannot listen on {host}:{port}: the address is in use; {another}");
            ("port", message)
        }
        ErrorKind::PermissionDenied => {
            let message = format!("cannot listen on {host}:{port}: {error}; {another}");
            ("port", message)
        }
        _ => ("host", format!("cannot listen on {host}:{port}: {error}")),
    };
    section.problem(&format!("{listener}.{key}"), &message)
}

/// True for an IP address and for a valid host name. Names are resolved when the server listens.
pub(crate) fn may_be_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(legal)
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let labels = || text.strip_suffix('.').unwrap_or(text).split('.');
    let is_name = labels().all(is_label) && !labels().all(is_number);
    is_name || text.parse::<IpAddr>().is_ok()
}
