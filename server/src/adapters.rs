//! The adapters that this server knows, and the configuration they make readable.

use acteon_config::{Adapters, Inputs, LoadedConfig, PipelineKeys, ProblemList, ResolvedConfig};
use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;
use acteon_pipeline::{PipelineSections, ProviderLimits, TrailOptions};
use serde_json::Value;

/// The options of the pipeline of this server.
#[derive(Debug)]
pub struct PipelineConfig;

impl PipelineKeys for PipelineConfig {
    type Sections = PipelineSections;
    type TrailKeys = TrailOptions;
    type ProviderKeys = ProviderLimits;
}

/// The configuration of this server.
pub type Config = ResolvedConfig<PipelineConfig>;
/// The result of reading the configuration of this server.
pub type ConfigFile = LoadedConfig<PipelineConfig>;

/// One registry per family. A program that embeds the server may register more.
#[derive(Default)]
#[allow(missing_docs)]
pub struct AdapterSet {
    pub sources: Registry<Sources>,
    pub sinks: Registry<Sinks>,
    pub states: Registry<States>,
    pub audits: Registry<Audits>,
}

impl AdapterSet {
    /// The adapters of this repository.
    pub fn built_in() -> Self {
        let mut set = Self::default();
        acteon_ingest::register(&mut set.sources);
        acteon_sinks::register(&mut set.sinks);
        acteon_backends::register(&mut set.states, &mut set.audits);
        set
    }

    /// Reads the configuration as far as possible.
    pub fn read(&self, inputs: &Inputs) -> ConfigFile {
        acteon_config::read(inputs, &self.registries())
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// All mistakes.
    pub fn load(&self, inputs: &Inputs) -> Result<Config, ProblemList> {
        acteon_config::load(inputs, &self.registries())
    }

    /// The effective configuration as TOML, each value with its origin.
    ///
    /// # Errors
    /// All mistakes.
    pub fn show(&self, inputs: &Inputs) -> Result<String, ProblemList> {
        acteon_config::show::<PipelineConfig>(inputs, &self.registries())
    }

    /// The JSON Schema of the configuration file.
    pub fn schema(&self) -> Value {
        acteon_config::schema::<PipelineConfig>(&self.registries())
    }

    fn registries(&self) -> Adapters<'_> {
        Adapters {
            sources: &self.sources,
            sinks: &self.sinks,
            states: &self.states,
            audits: &self.audits,
        }
    }
}
