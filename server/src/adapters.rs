//! All adapters this server knows, by family and kind.

use acteon_config::Adapters;
use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;

/// One registry a family. Whoever embeds the server may register more before it is configured.
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
        acteon_backends::register_states(&mut set.states);
        acteon_backends::register_audits(&mut set.audits);
        set
    }

    /// As the configuration wants to see them.
    pub fn as_known(&self) -> Adapters<'_> {
        Adapters {
            sources: &self.sources,
            sinks: &self.sinks,
            states: &self.states,
            audits: &self.audits,
        }
    }
}
