//! The health of the process and of its providers. Only the latter needs access.

use acteon_core::counters::CountersSnapshot;
use acteon_core::health::{BreakerOverride, Part, ProviderHealth};
use compact_str::CompactString;
use serde_json::json;

use super::changes::{Change, CompletedChange, SET_BREAKER};
use super::{Access, AdminApi, AdminError};

/// The readiness of the process.
#[derive(Clone, Debug)]
pub struct ReadinessReport {
    /// True if every part is ready.
    pub ready: bool,
    /// The readiness of each part.
    pub parts: Vec<Part>,
}

impl AdminApi {
    /// The number of actions by outcome since the start.
    pub fn counters(&self) -> CountersSnapshot {
        self.ports.status.counters.snapshot()
    }

    /// Checks every part, each with a timeout.
    pub async fn ready(&self) -> ReadinessReport {
        let parts = self.ports.status.readiness.parts().await;
        ReadinessReport {
            ready: parts.iter().all(|part| part.ready),
            parts,
        }
    }

    /// All metrics in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        (self.ports.status.prometheus)()
    }

    /// Opens a provider's breaker until it is closed by hand, or closes it. Returns the provider's new health.
    ///
    /// # Errors
    /// There is no such provider.
    pub async fn set_breaker(
        &self,
        access: &Access,
        provider: &str,
        to: BreakerOverride,
    ) -> Result<ProviderHealth, AdminError> {
        let ports = self.ports.clone();
        let provider = CompactString::from(provider);
        let work = async move {
            let health = ports.status.providers.set_breaker(&provider, to);
            let answer = health.ok_or_else(|| AdminError::ProviderNotFound(provider.clone()))?;
            Ok(CompletedChange {
                outcome: match to {
                    BreakerOverride::Open => "opened",
                    BreakerOverride::Closed => "closed",
                },
                details: json!({ "provider": provider }),
                answer,
            })
        };
        let change = Change::shared(SET_BREAKER);
        self.change(access.caller.clone(), change, work).await
    }

    /// The health of all providers, sorted by name. Providers belong to no tenant, so every caller sees all.
    pub fn providers(&self, _access: &Access) -> Vec<ProviderHealth> {
        self.ports.status.providers.health()
    }
}
