//! `acteon-server check`: builds everything that is configured, as `run` does, but starts nothing. Also warns about
//! rules and state machines that are valid but probably not intended.

use std::path::Path;

use acteon_config::{Problem, ProblemList, SourceSettings};
use acteon_core::rules::RuleProblem;
use acteon_pipeline::{read_rule_files, read_rule_test_files};
use acteon_rules::{RuleFile, lint};

use crate::adapters::{Config, ConfigFile};
use crate::assembly::{Assembly, rule_settings};
use crate::files::Purpose;
use crate::machines;
use crate::metrics::Metrics;
use crate::problems::of_rule;

/// A configuration with which the server starts.
pub struct CheckResult {
    /// The server without its listeners.
    pub assembly: Assembly,
    /// The number of sources, not counting HTTP.
    pub sources: usize,
    /// The number of configured providers.
    pub providers: usize,
    /// The number of rules.
    pub rules: usize,
    /// What is valid but probably not intended, by file, line and column.
    pub warnings: Vec<Problem>,
}

/// Builds all parts and lints the rules.
///
/// # Errors
/// Everything that keeps the server from starting, except addresses in use: those are found when it listens.
pub async fn check(file: ConfigFile, metrics: Metrics) -> Result<CheckResult, ProblemList> {
    let config = file.config.as_ref();
    let sources = config.map_or(0, |config| config.sources.len());
    let providers = config.map_or(0, |config| config.providers.len());
    let warnings = config.map(warnings);
    let assembly = Assembly::build(file, metrics, Purpose::Check).await?;
    Ok(CheckResult {
        rules: assembly.rule_count(),
        assembly,
        sources,
        providers,
        warnings: warnings.unwrap_or_default(),
    })
}

/// The pairs of sources that conflict: one writes to what the other reads or writes.
pub(crate) fn overlaps(sources: &[SourceSettings]) -> Vec<Problem> {
    let mut overlaps = Vec::new();
    let uses = |source: &SourceSettings| source.plan.uses(&source.keys.name);
    let used: Vec<_> = sources.iter().map(uses).collect();
    for (at, (source, own)) in sources.iter().zip(&used).enumerate() {
        let before = sources.iter().zip(&used).take(at);
        overlaps.extend(before.filter_map(|(other, theirs)| {
            let shared = own.overlap(theirs)?;
            let message = format!(
                "the sources `{}` and `{}` both use {shared}, and one of them writes to it",
                other.keys.name, source.keys.name
            );
            Some(source.section.problem("", &message))
        }));
    }
    overlaps
}

/// The warnings of the state machines and of the rules.
fn warnings(config: &Config) -> Vec<Problem> {
    let mut warnings = machines::warnings(config);
    if let Some(directory) = config.rules.directory.as_deref() {
        warnings.extend(linted(config, directory));
    }
    warnings
}

/// Lints the rules of a directory, with the actions of its tests as examples. Rules that cannot be loaded are reported
/// elsewhere.
fn linted(config: &Config, directory: &Path) -> Vec<Problem> {
    let known = rule_settings(config);
    let Ok(folder) = read_rule_files(directory) else {
        return Vec::new();
    };
    let Ok(set) = folder.compile(&known) else {
        return Vec::new();
    };
    let (examples, mut found) = examples(directory);
    found.extend(lint(&set, &folder.files, &known, &examples));
    found.extend(folder.warnings);
    found.iter().map(|problem| of_rule(None, problem)).collect()
}

/// The tests of a directory, or the errors of unreadable ones: a part of the tests alone would make fields of the others
/// look unknown.
fn examples(directory: &Path) -> (Vec<RuleFile>, Vec<RuleProblem>) {
    match read_rule_test_files(directory) {
        Ok(tests) if tests.unreadable.is_empty() => (tests.files, Vec::new()),
        Ok(tests) => (Vec::new(), tests.unreadable),
        Err(_) => Default::default(),
    }
}
