//! The health of the process and of its providers. Only the latter needs access.

use acteon_core::counters::CountersSnapshot;
use acteon_core::health::{BreakerOverride, Part, ProviderHealth};
use acteon_core::{Action, Failure, Labels, Payload, ProviderResponse};
use compact_str::{CompactString, ToCompactString};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::changes::{Change, CompletedChange, SET_BREAKER, TEST_PROVIDER};
use super::{Access, AdminApi, AdminError};

/// The readiness of the process.
#[derive(Clone, Debug)]
pub struct ReadinessReport {
    /// True if every part is ready.
    pub ready: bool,
    /// The readiness of each part.
    pub parts: Vec<Part>,
}

/// The result of a test message.
#[derive(Clone, Debug)]
pub struct ProviderTest {
    /// The provider.
    pub provider: CompactString,
    /// Its response, or why it did not accept the message.
    pub result: Result<ProviderResponse, Failure>,
}

/// The namespace and tenant of test messages.
const TEST_NAMES: &str = "acteon";
const TEST_TEXT: &str = "This is a test message of Acteon. No action is needed.";
const TEST_PAYLOAD: TestPayload = TestPayload {
    test: true,
    subject: "Test message of Acteon",
    summary: TEST_TEXT,
    text: TEST_TEXT,
    body: TEST_TEXT,
    severity: "info",
};

/// Texts in the fields that providers read.
#[derive(Serialize)]
struct TestPayload {
    test: bool,
    subject: &'static str,
    summary: &'static str,
    text: &'static str,
    body: &'static str,
    severity: &'static str,
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

    /// Sends one test message through a provider, whatever its breaker. No rule sees it. Without a payload, the message
    /// says in the fields that most providers show that it is a test.
    ///
    /// # Errors
    /// There is no such provider.
    pub async fn test_provider(
        &self,
        access: &Access,
        provider: &str,
        payload: Option<Payload>,
    ) -> Result<ProviderTest, AdminError> {
        let ports = self.ports.clone();
        let provider = CompactString::from(provider);
        let action = self.test_action(&provider, payload);
        let work = async move {
            let result = ports.status.providers.test(&provider, &action).await;
            let result = result.ok_or_else(|| AdminError::ProviderNotFound(provider.clone()))?;
            Ok(CompletedChange {
                outcome: "tested",
                details: json!({ "provider": provider, "delivered": result.is_ok() }),
                answer: ProviderTest { provider, result },
            })
        };
        let change = Change::shared(TEST_PROVIDER);
        self.change(access.caller.clone(), change, work).await
    }

    fn test_action(&self, provider: &CompactString, payload: Option<Payload>) -> Action {
        let default = || Payload::from_value(&TEST_PAYLOAD).unwrap_or(Payload::null());
        Action {
            id: Uuid::now_v7().to_compact_string(),
            namespace: TEST_NAMES.into(),
            tenant: TEST_NAMES.into(),
            provider: provider.clone(),
            action_type: "acteon_test".into(),
            payload: payload.unwrap_or_else(default),
            labels: Labels::from_iter([("test", "true")]),
            dedup_key: None,
            status: None,
            fingerprint: None,
            starts_at: None,
            ends_at: None,
            created_at: self.ports.clock.now().into(),
            trace_context: Labels::default(),
        }
    }

    /// The health of all providers, sorted by name. Providers belong to no tenant, so every caller sees all.
    pub fn providers(&self, _access: &Access) -> Vec<ProviderHealth> {
        self.ports.status.providers.health()
    }
}
