//! The port of the admin API and the HTTP source to the rules. Reading and evaluating rules is left to the pipeline.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

use crate::action::{Action, Payload};
use crate::outcome::ActionOutcome;
use crate::state::StateError;
use crate::verdict::Verdict;

/// The rules in force.
#[async_trait]
pub trait Rulebook: Send + Sync {
    /// Returns the rules in the order of evaluation.
    fn rules(&self) -> RulesInForce;

    /// Loads a directory as a whole or not at all. Without `directory`, loads the configured one.
    async fn reload(&self, directory: Option<&Path>) -> Result<Reloaded, RulesError>;

    /// Enables or disables a rule on every node, across restarts and reloads.
    async fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), RulesError>;

    /// Evaluates and explains an action, and changes nothing. State that the rules read comes from the backend, or from
    /// `mock_state`.
    async fn evaluate(
        &self,
        action: &Action,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, EvaluateError>;

    /// Returns what the rules would do with each action, and changes nothing.
    async fn dry_run(&self, actions: &[&Action]) -> Result<Vec<ActionOutcome>, StateError>;
}

/// A generation of rules.
#[derive(Clone, Debug)]
pub struct RulesInForce {
    /// The number of sets that this process has loaded, including this one.
    pub generation: u64,
    /// The SHA-256 of the files, in hex.
    pub content_hash: CompactString,
    /// In the order of evaluation.
    pub rules: Vec<RuleSummary>,
    /// The problems of the last loaded set, if it was refused.
    pub last_errors: Vec<RuleProblem>,
}

/// The beginning of the hash over the files of a set. It identifies a set on all nodes, while each node counts its own
/// generations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RulesHash(u64);

impl RulesHash {
    /// From a hash in hex.
    pub fn of(content_hash: &str) -> Self {
        let start = content_hash.get(..16).unwrap_or(content_hash);
        Self(u64::from_str_radix(start, 16).unwrap_or_default())
    }

    /// The first 48 bits, which a gauge holds without loss.
    pub fn as_gauge(self) -> f64 {
        (self.0 >> 16) as f64
    }
}

impl fmt::Display for RulesHash {
    /// 16 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One rule as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct RuleSummary {
    #[schema(value_type = String)]
    pub name: CompactString,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    /// The type of the rule's action, such as `suppress`.
    pub action_type: &'static str,
    /// The file that contains it.
    pub source: String,
}

/// One problem in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleProblem {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What was found, and what was expected.
    pub message: String,
}

impl RuleProblem {
    /// Replaces the file's name by its path in `directory`.
    #[must_use]
    pub fn below(self, directory: &Path) -> Self {
        Self {
            file: directory.join(self.file).display().to_string(),
            ..self
        }
    }
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

/// A loaded set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Reloaded {
    pub rules: usize,
    pub directory: PathBuf,
    pub generation: u64,
}

/// Why the rules stay unchanged.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum RulesError {
    #[error("the rules have {} errors: {}", .0.len(), joined(.0))]
    Invalid(Vec<RuleProblem>),
    #[error("no rules directory is configured")]
    NoDirectory,
    /// With its whole path.
    #[error("there is no directory `{}`", .0.display())]
    DirectoryMissing(PathBuf),
    #[error("the directory `{}` cannot be read: {reason}", path.display())]
    DirectoryUnreadable { path: PathBuf, reason: String },
    #[error("`{}` no longer contains rules; `rules.allow_empty = true` allows that", .0.display())]
    WouldBeEmpty(PathBuf),
    #[error("`{0}` is not below the configured rules directory")]
    OutsideDirectory(String),
    #[error("no rule is named \"{0}\"")]
    NotFound(String),
    #[error(transparent)]
    State(#[from] StateError),
}

impl RulesError {
    /// The problems of the files, each with its place, or of their directory.
    pub fn problems(&self) -> Vec<RuleProblem> {
        match self {
            Self::Invalid(problems) => problems.clone(),
            Self::DirectoryMissing(path)
            | Self::DirectoryUnreadable { path, .. }
            | Self::WouldBeEmpty(path) => vec![RuleProblem {
                file: path.display().to_string(),
                line: 1,
                column: 1,
                message: self.to_string(),
            }],
            Self::NoDirectory | Self::OutsideDirectory(_) | Self::NotFound(_) | Self::State(_) => {
                Vec::new()
            }
        }
    }
}

/// Why there is no evaluation.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// `mock_state` is malformed.
    #[error("{0}")]
    Mock(String),
    /// Rules read the state, and the backend does not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

fn joined(problems: &[RuleProblem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// The options of an evaluation in the playground.
#[derive(Clone, Debug, Default)]
pub struct EvaluateOptions {
    /// Disabled rules are evaluated too.
    pub include_disabled: bool,
    /// Later rules are evaluated even after one has decided.
    pub evaluate_all: bool,
    /// The time that `time.*` and `now` show.
    pub evaluate_at: Option<Timestamp>,
    /// Replaces the stored state. Maps the key of a tally to a count or to whether it was seen, a fingerprint to the
    /// state of the event, and an event type to whether an event is active or to the list of values for which one is
    /// active.
    pub mock_state: Option<Value>,
}

/// The decision of the rules about an action, and the reasons.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Evaluation {
    pub verdict: Verdict,
    #[schema(value_type = Option<String>)]
    pub matched_rule: Option<CompactString>,
    /// The id of the silence that would withhold the delivery or the notice now.
    #[schema(value_type = Option<String>)]
    pub silenced_by: Option<CompactString>,
    pub has_errors: bool,
    pub total_rules_evaluated: usize,
    pub total_rules_skipped: usize,
    pub evaluation_duration_us: u64,
    pub trace: Vec<RuleTrace>,
    /// The values that the rules could use in addition to the action: the current time, and the state that was read.
    #[schema(value_type = Object)]
    pub context: Value,
    /// The payload after modify rules; `null` if none changed it.
    #[schema(value_type = Option<Object>)]
    pub modified_payload: Option<Payload>,
}

/// The evaluation of one rule.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct RuleTrace {
    #[schema(value_type = String)]
    pub rule_name: CompactString,
    pub priority: i64,
    pub enabled: bool,
    /// The condition in one line, shortened if it is long.
    pub condition_display: String,
    pub result: RuleResult,
    pub evaluation_duration_us: u64,
    /// The type of the rule's action, such as `suppress`.
    pub action: &'static str,
    /// The file that contains it.
    pub source: String,
    pub description: Option<String>,
    /// Why the rule was skipped.
    pub skip_reason: Option<String>,
    /// Why the rule could not be applied.
    pub error: Option<String>,
    /// The part of the condition that did not hold, with the value it read. If the rule matched: its `reason`.
    pub reason: Option<String>,
    pub metadata: std::collections::BTreeMap<String, String>,
}

impl RuleTrace {
    /// The reason for the result, whichever it is.
    pub fn why(&self) -> Option<&str> {
        let why = self.skip_reason.as_ref().or(self.error.as_ref());
        why.or(self.reason.as_ref()).map(String::as_str)
    }
}

/// The result of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum RuleResult {
    Matched,
    NotMatched,
    Skipped,
    Error,
}
