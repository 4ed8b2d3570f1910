//! `acteon-server test`: the rule tests of a directory under a configuration, without starting anything.

use std::path::Path;

use acteon_config::Settings;
use acteon_core::Redactor;
use acteon_core::rules::RulesError;
use acteon_rule_tests::{LoadError, Suite, SuiteSettings, stand_in};
use thiserror::Error;

use crate::compose::{pipeline_options, rule_settings};
use crate::providers::{Share, Treatment};

/// Why no tests can be run.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum TestError {
    #[error("no directory is given, and no `rules.directory` is configured")]
    NoDirectory,
    #[error("rules.directory: {0}")]
    Directory(RulesError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The rules and tests of a directory, the configured one when none is given. Providers keep their limits, retries and
/// breakers, and reach nobody.
///
/// # Errors
/// All that is wrong with the rules and the tests, or that there are none.
pub fn suite(settings: &Settings, directory: Option<&Path>) -> Result<Suite, TestError> {
    let given = directory.or(settings.rules.directory.as_deref());
    let given = given.ok_or(TestError::NoDirectory)?;
    let treatment = Treatment {
        breakers: settings.circuit_breaker.clone(),
        redelivery: settings.redelivery.clone(),
        redactor: Redactor::default(),
        share: Share::of(&settings.pipeline, settings.providers.len()),
    };
    let providers = settings.providers.iter();
    let providers = providers.map(|provider| treatment.of(&provider.keys, stand_in()));
    let surroundings = SuiteSettings {
        rules: rule_settings(settings),
        pipeline: pipeline_options(
            &settings.pipeline,
            settings.audit.store_payload,
            &settings.redelivery,
        ),
        providers: providers.collect(),
    };
    Suite::load(given, surroundings).map_err(|error| match (error, directory) {
        (LoadError::Unreadable(error), None) => TestError::Directory(error),
        (error, _) => error.into(),
    })
}
