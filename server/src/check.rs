//! `acteon-server check`: the adapters of a configuration, and its rules, looked over without starting or connecting anything.

use std::path::Path;

use acteon_config::{Settings, SourceSettings};
use acteon_core::rules::{RuleProblem, RulesError};
use acteon_pipeline::{read_rule_files, read_rule_test_files};
use acteon_rules::{RuleFile, lint};

use crate::compose::{StartError, rule_settings};

/// Rules that can be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many there are.
    pub rules: usize,
    /// What is allowed and yet hardly meant, by file, line and column.
    pub warnings: Vec<RuleProblem>,
}

/// Asks each adapter whether it can work with its options: what is refused here would not start either.
pub fn adapters(settings: &Settings) -> Vec<StartError> {
    let sources = settings.sources.iter().map(|source| {
        let name = source.keys.name.as_str();
        (format!("source `{name}`"), source.plan.check(name))
    });
    let providers = settings.providers.iter().map(|provider| {
        let name = provider.keys.name.as_str();
        (format!("provider `{name}`"), provider.plan.check(name))
    });
    let backends = [
        (
            "state backend".to_owned(),
            settings.state.plan.check("state"),
        ),
        (
            "audit backend".to_owned(),
            settings.audit.plan.check("audit"),
        ),
    ];
    let checked = backends.into_iter().chain(sources).chain(providers);
    checked
        .filter_map(|(part, result)| result.map_err(StartError::build(part)).err())
        .chain(overlaps(&settings.sources))
        .collect()
}

/// The pairs of sources of which one writes to what the other reads, or writes to as well.
pub(crate) fn overlaps(sources: &[SourceSettings]) -> Vec<StartError> {
    let mut overlaps = Vec::new();
    let uses = |source: &SourceSettings| source.plan.uses(&source.keys.name);
    let used: Vec<_> = sources.iter().map(uses).collect();
    for (at, (source, own)) in sources.iter().zip(&used).enumerate() {
        let before = sources.iter().zip(&used).take(at);
        overlaps.extend(before.filter_map(|(other, theirs)| {
            Some(StartError::Overlap {
                sources: [other.keys.name.clone(), source.keys.name.clone()],
                what: own.overlap(theirs)?.to_owned(),
            })
        }));
    }
    overlaps
}

/// Looks over the rules of the configured directory. The tests beside them are taken for examples of actions.
///
/// # Errors
/// All that is wrong with the rule files.
pub fn rules(settings: &Settings) -> Result<Checked, StartError> {
    let Some(directory) = &settings.rules.directory else {
        return Ok(Checked::default());
    };
    let folder = read_rule_files(directory)?;
    let known = rule_settings(settings)?;
    let set = folder.compile(&known).map_err(RulesError::Invalid)?;
    let (examples, mut warnings) = examples(directory)?;
    warnings.extend(lint(&set, &folder.files, &known, &examples));
    warnings.extend(folder.warnings);
    Ok(Checked {
        rules: set.summaries().len(),
        warnings,
    })
}

/// The tests of a directory, or what cannot be read of them: some of them would make fields look unknown that the others
/// have.
fn examples(directory: &Path) -> Result<(Vec<RuleFile>, Vec<RuleProblem>), RulesError> {
    let tests = read_rule_test_files(directory)?;
    match tests.unreadable.is_empty() {
        true => Ok((tests.files, Vec::new())),
        false => Ok((Vec::new(), tests.unreadable)),
    }
}
