//! `acteon-server eval`: evaluates one action against rules, offline. Input and output are those of
//! `POST /v1/rules/evaluate`. The state is empty unless `mock_state` says otherwise.

mod report;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

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

use crate::adapters::Config;
use crate::assembly::{redactor, rule_settings};

pub use report::EvaluationReport;

/// The result of an evaluation.
pub struct EvalResult {
    /// The response of the API.
    pub evaluation: Evaluation,
    /// Files of the directory that look like rules but are not read.
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

/// An action to evaluate.
pub struct ActionInput {
    /// The file it was read from, or standard input.
    pub name: String,
    /// Its text.
    pub bytes: Bytes,
}

impl ActionInput {
    /// Reads a file; reads standard input if the path is absent or `-`.
    ///
    /// # Errors
    /// If it cannot be read or has more than `bytes_max` bytes.
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

    /// The action and the options of its evaluation. The error for text that is not JSON names its line and column.
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

/// Evaluates an action by the rules of a file or a directory; by default, of the configured one.
///
/// # Errors
/// All mistakes in the rules and the action.
pub fn evaluate(
    config: &Config,
    rules: Option<&Path>,
    input: &ActionInput,
) -> Result<EvalResult, EvalError> {
    let now = Clock::system().now();
    let request = input.request(now);
    let ((folder, set), (action, mut options)) = match (rule_set(config, rules), request) {
        (Ok(rules), Ok(request)) => (rules, request),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
        (Err(rules), Err(action)) => {
            return Err(EvalError::Both(Box::new(rules), Box::new(action)));
        }
    };
    let now = options.evaluate_at.unwrap_or(now);
    let mock = options.mock_state.get_or_insert_with(|| json!({})).clone();
    let reads = set.ask_to_explain(&action, now, &options);
    let answers =
        StateAnswers::mocked(reads, &mock).map_err(|error| input.wrong(error.to_string()))?;
    let request = ExplainRequest {
        action: &action,
        now,
        answers: &answers,
    };
    let start = Instant::now();
    let redactor = redactor(&config.audit.redact);
    let stopwatch = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(EvalResult {
        evaluation: set.explain_timed(request, &options, &redactor, &stopwatch),
        warnings: folder.warnings,
    })
}

fn rule_set(config: &Config, given: Option<&Path>) -> Result<(RuleFolder, RuleSet), EvalError> {
    let path = given.or(config.rules.directory.as_deref());
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
    let set = folder.compile(&rule_settings(config));
    Ok((folder, set.map_err(EvalError::Rules)?))
}

fn lines(problems: &[RuleProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
