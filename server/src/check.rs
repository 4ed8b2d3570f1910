//! `acteon-server check`: builds everything that is configured, as `run` does, but starts nothing. Also warns about rules
//! that are valid but probably not intended.

use std::path::Path;

use acteon_config::{Problem, Problems, Reading, Settings, SourceSettings};
use acteon_core::rules::RuleProblem;
use acteon_pipeline::{read_rule_files, read_rule_test_files};
use acteon_rules::{RuleFile, lint};

use crate::compose::{Assembly, rule_settings};
use crate::metrics::Metrics;
use crate::problems::of_rule;

/// A configuration under which the server starts.
pub struct Checked {
    /// The server without its listeners.
    pub assembly: Assembly,
    /// How many sources there are beside HTTP.
    pub sources: usize,
    /// How many providers are configured.
    pub providers: usize,
    /// How many rules there are.
    pub rules: usize,
    /// What is allowed and yet hardly meant, by file, line and column.
    pub warnings: Vec<Problem>,
}

/// Builds all that was read, and looks over its rules.
///
/// # Errors
/// All for which the server would not start, but for its addresses: those are taken when it listens.
pub async fn check(reading: Reading, metrics: Metrics) -> Result<Checked, Problems> {
    let settings = reading.settings.as_ref();
    let (sources, providers) = settings.map_or((0, 0), |settings| {
        (settings.sources.len(), settings.providers.len())
    });
    let linted = settings.map(warnings);
    let assembly = Assembly::build(reading, metrics).await?;
    Ok(Checked {
        rules: assembly.rule_count(),
        assembly,
        sources,
        providers,
        warnings: linted.unwrap_or_default(),
    })
}

/// The pairs of sources of which one writes to what the other reads, or writes to as well.
pub(crate) fn overlaps(sources: &[SourceSettings]) -> Vec<Problem> {
    let mut overlaps = Vec::new();
    let uses = |source: &SourceSettings| source.plan.uses(&source.keys.name);
    let used: Vec<_> = sources.iter().map(uses).collect();
    for (at, (source, own)) in sources.iter().zip(&used).enumerate() {
        let before = sources.iter().zip(&used).take(at);
        overlaps.extend(before.filter_map(|(other, theirs)| {
            let what = own.overlap(theirs)?;
            let message = format!(
                "the sources `{}` and `{}` both use {what}, and one of them writes to it",
                other.keys.name, source.keys.name
            );
            Some(source.section.problem("", &message))
        }));
    }
    overlaps
}

/// Looks over the rules of the configured directory. The tests beside them are taken for examples of actions. Of rules
/// that cannot be loaded nothing is said here.
fn warnings(settings: &Settings) -> Vec<Problem> {
    let Some(directory) = settings.rules.directory.as_deref() else {
        return Vec::new();
    };
    let known = rule_settings(settings);
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

/// The tests of a directory, or what cannot be read of them: some of them would make fields look unknown that the others
/// have.
fn examples(directory: &Path) -> (Vec<RuleFile>, Vec<RuleProblem>) {
    match read_rule_test_files(directory) {
        Ok(tests) if tests.unreadable.is_empty() => (tests.files, Vec::new()),
        Ok(tests) => (Vec::new(), tests.unreadable),
        Err(_) => Default::default(),
    }
}
