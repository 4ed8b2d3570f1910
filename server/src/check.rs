//! `acteon-server check`: the rules of a configuration, read and compiled without starting anything.

use acteon_config::Settings;
use acteon_pipeline::read_rule_files;
use acteon_rules::RuleSet;

use crate::compose::{StartError, rule_settings};

/// How many rules the configured directory holds.
///
/// # Errors
/// All that is wrong with the rule files.
pub fn rules(settings: &Settings) -> Result<usize, StartError> {
    let Some(directory) = &settings.rules.directory else {
        return Ok(0);
    };
    let files = read_rule_files(directory)?;
    let set = RuleSet::compile(&files, &rule_settings(settings)?)
        .map_err(acteon_core::rules::RulesError::Invalid)?;
    Ok(set.summaries().len())
}
