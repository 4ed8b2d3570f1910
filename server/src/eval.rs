//! `acteon-server eval`: one action against rules, offline. It reads and answers what `POST /v1/rules/evaluate` does;
//! the state is taken to be empty, or to be what `mock_state` says.

mod told;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use acteon_config::Settings;
use acteon_core::decode::{DecodeError, decode};
use acteon_core::rules::{EvaluateOptions, Evaluation, RuleProblem, RulesError};
use acteon_core::{Action, Clock};
use acteon_pipeline::{RuleFolder, read_rule_file, read_rule_files};
use acteon_rules::{ExplainRequest, RuleSet, StateAnswers};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use thiserror::Error;
use tokio::time::Instant;

use crate::compose::{redactor, rule_settings};

pub use told::Told;

/// What the rules say.
pub struct Evaluated {
    /// What the API answers.
    pub evaluation: Evaluation,
    /// What of the directory is not read though it looks like rules.
    pub warnings: Vec<RuleProblem>,
}

/// Why nothing was evaluated.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum EvalError {
    #[error("no rules are given (`-f RULES`), and no `rules.directory` is configured")]
    NoRules,
    #[error("there is neither a file nor a directory `{}`", .0.display())]
    NotThere(PathBuf),
    #[error("`{}` holds no rules: they are in files named *.yaml or *.yml{unread}", path.display())]
    Empty { path: PathBuf, unread: String },
    #[error("{0}")]
    Unreadable(RulesError),
    #[error("rules.directory: {0}")]
    Directory(RulesError),
    #[error("{}", lines(.0))]
    Rules(Vec<RuleProblem>),
    #[error("{action}: {message}")]
    Action { action: String, message: String },
    #[error("{place}: not JSON: {message}")]
    NotJson { place: String, message: String },
    #[error("{0}\n{1}")]
    Both(Box<EvalError>, Box<EvalError>),
}

/// An action as it was given.
pub struct Given {
    /// Where it was read.
    pub name: String,
    /// What was read.
    pub bytes: Bytes,
}

impl Given {
    /// From a file; from standard input when none is named, or `-` is. At most one byte more than `bytes_max`, which is
    /// enough to be refused.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(path: Option<&Path>, bytes_max: usize) -> Result<Self, EvalError> {
        let path = path.filter(|path| *path != Path::new("-"));
        let name = path.map_or_else(
            || "standard input".into(),
            |path| path.display().to_string(),
        );
        let mut bytes = Vec::new();
        let most = bytes_max as u64 + 1;
        let read = match path {
            Some(path) => File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)),
            None => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        };
        let message = match read {
            Err(error) => format!("cannot be read: {error}"),
            Ok(read) if read > bytes_max => format!("an action may have {bytes_max} bytes"),
            Ok(_) => {
                let bytes = bytes.into();
                return Ok(Self { name, bytes });
            }
        };
        let action = name;
        Err(EvalError::Action { action, message })
    }

    /// The action, and what to vary. What is no JSON is told with its place.
    fn request(&self, now: Timestamp) -> Result<(Action, EvaluateOptions), EvalError> {
        if let Err(DecodeError::Json {
            message,
            line,
            column,
        }) = decode(&self.bytes)
        {
            return Err(EvalError::NotJson {
                place: format!("{}:{}:{}", self.name, line.max(1), column.max(1)),
                message,
            });
        }
        let request = acteon_admin_api::read_evaluation(&self.bytes, now);
        request.map_err(|error| self.wrong(error.message))
    }

    fn wrong(&self, message: String) -> EvalError {
        EvalError::Action {
            action: self.name.clone(),
            message,
        }
    }
}

/// Evaluates an action by the rules of a file or a directory, the configured one when none is given.
///
/// # Errors
/// All that is wrong with the rules and the action.
pub fn evaluate(
    settings: &Settings,
    rules: Option<&Path>,
    given: &Given,
) -> Result<Evaluated, EvalError> {
    let now = Clock::system().now();
    let request = given.request(now);
    let ((folder, set), (action, mut options)) = match (rule_set(settings, rules), request) {
        (Ok(rules), Ok(request)) => (rules, request),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
        (Err(rules), Err(action)) => {
            return Err(EvalError::Both(Box::new(rules), Box::new(action)));
        }
    };
    let now = options.evaluate_at.unwrap_or(now);
    let mock = options.mock_state.get_or_insert_with(|| json!({})).clone();
    let reads = set.ask_to_explain(&action, now, &options);
    let gathered =
        StateAnswers::mocked(reads, &mock).map_err(|error| given.wrong(error.to_string()))?;
    let case = ExplainRequest {
        action: &action,
        now,
        answers: &gathered,
    };
    let (start, redactor) = (Instant::now(), redactor(&settings.audit));
    let stopwatch = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Evaluated {
        evaluation: set.explain_timed(case, &options, &redactor, &stopwatch),
        warnings: folder.warnings,
    })
}

fn rule_set(settings: &Settings, given: Option<&Path>) -> Result<(RuleFolder, RuleSet), EvalError> {
    let path = given.or(settings.rules.directory.as_deref());
    let path = path.ok_or(EvalError::NoRules)?;
    let folder = match given {
        Some(file) if file.exists() && !file.is_dir() => read_rule_file(file),
        Some(directory) => read_rule_files(directory).map_err(|error| match error {
            RulesError::DirectoryMissing(path) => EvalError::NotThere(path),
            other => EvalError::Unreadable(other),
        })?,
        None => read_rule_files(path).map_err(EvalError::Directory)?,
    };
    if folder.files.is_empty() && folder.unreadable.is_empty() {
        let warnings = folder.warnings.iter();
        let warnings = warnings.map(|warning| format!("\n{warning}"));
        return Err(EvalError::Empty {
            path: path.to_owned(),
            unread: warnings.collect(),
        });
    }
    let set = folder.compile(&rule_settings(settings));
    Ok((folder, set.map_err(EvalError::Rules)?))
}

fn lines(problems: &[RuleProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
