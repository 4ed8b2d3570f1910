//! `acteon-server test`: runs the rule tests of a directory under a configuration, without starting the server.

use std::path::Path;

use acteon_core::Redactor;
use acteon_core::rules::RulesError;
use acteon_rule_tests::{LoadError, Suite, SuiteSettings, stand_in};
use thiserror::Error;

use crate::adapters::Config;
use crate::assembly::{pipeline_options, rule_settings};
use crate::machines::machines;
use crate::providers::ProviderPolicies;

/// Why no tests can run.
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

/// The rules and tests of a directory; by default, of the configured one. Providers keep their limits, retries and
/// breakers, but call nothing.
///
/// # Errors
/// All mistakes in the rules and the tests, or that there are none.
pub fn suite(config: &Config, directory: Option<&Path>) -> Result<Suite, TestError> {
    let path = directory.or(config.rules.directory.as_deref());
    let path = path.ok_or(TestError::NoDirectory)?;
    let policies = ProviderPolicies::new(
        &config.pipeline,
        config.providers.len(),
        Redactor::default(),
    );
    let providers = config.providers.iter();
    let providers = providers.map(|provider| policies.options(&provider.keys, stand_in()));
    let suite_settings = SuiteSettings {
        rules: rule_settings(config),
        pipeline: pipeline_options(config),
        providers: providers.collect(),
        machines: machines(config),
    };
    Suite::load(path, suite_settings).map_err(|error| match (error, directory) {
        (LoadError::Unreadable(error), None) => TestError::Directory(error),
        (error, _) => error.into(),
    })
}
