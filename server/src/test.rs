//! `acteon-server test`: the rule tests of a directory under a configuration, without starting anything.

use std::path::PathBuf;

use acteon_config::Settings;
use acteon_rule_tests::{LoadError, Suite, Surroundings, stand_in};
use thiserror::Error;

use crate::compose::{StartError, pipeline_options, provider_options, rule_settings};

/// Why no tests can be run.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum TestError {
    #[error("no directory is given, and no `rules.directory` is configured")]
    NoDirectory,
    #[error(transparent)]
    Settings(#[from] StartError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The rules and tests of a directory, the configured one when none is given. Providers keep their limits, retries and
/// breakers, and reach nobody.
///
/// # Errors
/// All that is wrong with the rules and the tests, or that there are none.
pub fn suite(settings: &Settings, directory: Option<PathBuf>) -> Result<Suite, TestError> {
    let directory = directory
        .or_else(|| settings.rules.directory.clone())
        .ok_or(TestError::NoDirectory)?;
    let providers = settings.providers.iter().map(|provider| {
        let breaker = settings.circuit_breaker.for_provider(&provider.name);
        provider_options(&provider.keys, breaker, stand_in())
    });
    let surroundings = Surroundings {
        rules: rule_settings(settings)?,
        pipeline: pipeline_options(&settings.pipeline, settings.audit.store_payload),
        providers: providers.collect(),
    };
    Ok(Suite::load(&directory, surroundings)?)
}
