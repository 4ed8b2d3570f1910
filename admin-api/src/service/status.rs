//! How the process and its providers are. Open to all who reach the listener, but for the providers.

use acteon_core::counters::CountersSnapshot;
use acteon_core::health::{BreakerOverride, Part, ProviderHealth};
use compact_str::CompactString;
use serde_json::json;

use super::changes::{Change, Changed};
use super::{Access, AdminApi, AdminError};

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

    /// Opens the breaker of a provider until it is closed by hand, or closes it; tells how the provider is then.
    ///
    /// # Errors
    /// When there is no such provider.
    pub async fn set_breaker(
        &self,
        access: &Access,
        provider: &str,
        to: BreakerOverride,
    ) -> Result<ProviderHealth, AdminError> {
        let (ports, provider) = (self.ports.clone(), CompactString::from(provider));
        let work = async move {
            let health = ports.providers.set_breaker(&provider, to);
            let answer = health.ok_or_else(|| AdminError::ProviderNotFound(provider.clone()))?;
            Ok(Changed {
                outcome: match to {
                    BreakerOverride::Open => "opened",
                    BreakerOverride::Closed => "closed",
                },
                details: json!({ "provider": provider }),
                answer,
            })
        };
        let change = Change::shared("acteon.providers.breaker");
        self.change(access.caller.clone(), change, work).await
    }

    /// All providers, sorted by name. They belong to no tenant: whoever has access sees all.
    pub fn providers(&self, _access: &Access) -> Vec<ProviderHealth> {
        self.ports.providers.health()
    }
}
