//! Turns the errors of building and listening into problems of the configuration, each with its place.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::Path;

use acteon_config::{Place, Problem, Problems, Section};
use acteon_core::BuildError;
use acteon_core::rules::{RuleProblem, RulesError};

/// What was built, or `None` with what is wrong among `problems`.
pub(crate) fn keep<T>(
    section: &Section,
    built: Result<T, BuildError>,
    problems: &mut Problems,
) -> Option<T> {
    let wrong = |error: BuildError| {
        problems.extend(error.each().map(|one| of_option(section, one)));
    };
    built.map_err(wrong).ok()
}

/// One option that cannot work.
pub(crate) fn of_option(section: &Section, error: &BuildError) -> Problem {
    section.problem(&error.option, &with_causes(&error.message, error))
}

/// `message` and what caused `error`.
pub(crate) fn with_causes(message: &str, error: &dyn Error) -> String {
    let mut told = message.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(&format!(": {error}"));
        cause = error.source();
    }
    told
}

/// Why the rules of a directory are not in force.
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

/// A problem of a rule file, whose name begins in `directory`, or of the directory itself.
pub(crate) fn of_rule(directory: Option<&Path>, problem: &RuleProblem) -> Problem {
    let file = Path::new(&problem.file);
    let path = match directory {
        Some(directory) if directory != file => directory.join(file),
        _ => file.to_owned(),
    };
    let place = Place::File {
        file: path.display().to_string(),
        line: problem.line,
        column: problem.column,
    };
    Problem::new(place, "", &problem.message)
}

/// That there is no directory at `path`, if there is none.
pub(crate) fn no_directory(section: &Section, path: &Path) -> Option<Problem> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let whole = whole.display();
    let message = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return None,
        Ok(_) => format!("`{whole}` is a file, and the rules are read from a directory"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("there is no directory `{whole}`")
        }
        Err(error) => format!("`{whole}` cannot be read: {error}"),
    };
    Some(section.problem("rules.directory", &message))
}

/// Why nobody can listen there.
pub(crate) fn of_listener(
    section: &Section,
    listener: &str,
    (host, port): (&str, u16),
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

/// True for an IP address and for what looks like the name of a host. Names are looked up when the server listens.
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
