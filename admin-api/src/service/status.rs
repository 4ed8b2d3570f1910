//! How the process and its providers are. Open to all who reach the listener, but for the providers.

use acteon_core::counters::CountersSnapshot;
use acteon_core::health::{Part, ProviderHealth};

use super::{Access, AdminApi};

/// Whether work is done now.
#[derive(Clone, Debug)]
pub struct Ready {
    /// True when every part is ready.
    pub ready: bool,
    /// Each part.
    pub parts: Vec<Part>,
}

impl AdminApi {
    /// What became of actions since the start.
    pub fn counters(&self) -> CountersSnapshot {
        self.ports.counters.snapshot()
    }

    /// Asks every part, each for a bounded time.
    pub async fn ready(&self) -> Ready {
        let parts = self.ports.readiness.parts().await;
        Ready {
            ready: parts.iter().all(|part| part.ready),
            parts,
        }
    }

    /// All metrics in the text form of Prometheus.
    pub fn metrics(&self) -> String {
        (self.ports.prometheus)()
    }

    /// All providers, sorted by name. They belong to no tenant: whoever has access sees all.
    pub fn providers(&self, _access: &Access) -> Vec<ProviderHealth> {
        self.ports.providers.health()
    }
}
