//! The options of the `pagerduty` sink.

use std::collections::BTreeMap;

use acteon_core::Secret;
use acteon_sinks_kit::ConnectionOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The services to notify, and what to send if payloads do not say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyConfig {
    /// The routing key (integration key) of the only service.
    #[serde(default)]
    pub routing_key: Option<Secret>,
    /// Several services instead: a name for each routing key. Payloads name one as `service_id`.
    #[serde(default)]
    pub services: BTreeMap<String, Secret>,
    /// The name in `services` for payloads without `service_id`.
    #[serde(default)]
    pub default_service: Option<String>,
    /// The severity for payloads without one that PagerDuty knows.
    #[serde(default)]
    pub default_severity: Severity,
    /// The affected system for payloads without `source`. Default: the namespace and the tenant of the action.
    #[serde(default)]
    pub default_source: Option<String>,
    /// The address of the Events API. Accounts in Europe use `https://events.eu.pagerduty.com`.
    #[serde(default = "api_base_url")]
    pub api_base_url: String,
    /// How to connect.
    #[serde(flatten)]
    pub connection: ConnectionOptions,
}

fn api_base_url() -> String {
    "https://events.pagerduty.com".to_owned()
}

/// How severe an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Critical,
    #[default]
    Error,
    Warning,
    Info,
}

impl Severity {
    /// The severity of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            ("critical", Self::Critical),
            ("error", Self::Error),
            ("warning", Self::Warning),
            ("info", Self::Info),
        ];
        let found = all
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        found.map(|(_, severity)| *severity)
    }
}
