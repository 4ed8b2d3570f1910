//! The sections that name an adapter: our keys, and beside them the adapter's own options, already read.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use acteon_core::decode::Defaults;
use acteon_core::{Family, Plan, ThrottledPolicy};

use super::{ExecutorSettings, units};
use crate::whole::Section;

/// Our keys of a section, and the adapter it names, ready to be built.
pub struct Adapted<K, F: Family> {
    /// What stands in every section of this family.
    pub keys: K,
    /// The adapter with its own options.
    pub plan: Plan<F>,
    /// Where all of them were written.
    pub section: Section,
}

impl<K, F: Family> Deref for Adapted<K, F> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.keys
    }
}

impl<K: fmt::Debug, F: Family> fmt::Debug for Adapted<K, F> {
    /// Shows our keys only: an adapter's options may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Adapted");
        shown.field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// Our keys beside the options of an adapter.
pub(crate) trait Keys: DeserializeOwned + JsonSchema {
    /// The key that names the adapter.
    const TAG: &'static str;
    /// The adapter when none is named.
    const DEFAULT: Option<&'static str>;
    /// What the names of the family's definitions in the schema begin with.
    const PREFIX: &'static str;
}

/// The keys of `[state]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateKeys {
    /// The backend for leases, dedup, throttles and dead letters.
    pub backend: String,
}

impl Default for StateKeys {
    fn default() -> Self {
        Self {
            backend: "memory".into(),
        }
    }
}

impl Keys for StateKeys {
    const TAG: &'static str = "backend";
    const DEFAULT: Option<&'static str> = Some("memory");
    const PREFIX: &'static str = "state";
}

/// The keys of `[audit]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditKeys {
    /// The backend for audit records.
    pub backend: String,
    /// Whether records are kept.
    pub enabled: bool,
    /// How long records are kept; 0, read as `None`: for ever.
    #[serde(rename = "ttl_seconds", with = "units::seconds_or_for_ever")]
    #[schemars(with = "u64", range(max = 3_153_600_000_u64))]
    pub ttl: Option<Duration>,
    /// How often records are looked for that are too old.
    #[serde(rename = "cleanup_interval_seconds", with = "units::seconds")]
    #[schemars(with = "u64", range(min = 1, max = 31_536_000))]
    pub cleanup_interval: Duration,
    /// Whether records hold payloads.
    pub store_payload: bool,
    /// When an action is acknowledged.
    pub delivery: AuditDelivery,
    /// How many records may wait to be written; when so many do, the pipeline waits.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub buffer_records: usize,
    /// What is taken out of payloads before they are recorded.
    pub redact: RedactSettings,
}

impl Default for AuditKeys {
    fn default() -> Self {
        Self {
            backend: "memory".into(),
            enabled: true,
            ttl: Some(Duration::from_secs(2_592_000)),
            cleanup_interval: Duration::from_secs(3600),
            store_payload: true,
            delivery: AuditDelivery::Buffered,
            buffer_records: 10_000,
            redact: RedactSettings::default(),
        }
    }
}

impl Keys for AuditKeys {
    const TAG: &'static str = "backend";
    const DEFAULT: Option<&'static str> = Some("memory");
    const PREFIX: &'static str = "audit";
}

/// When an action is acknowledged, seen from its audit record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditDelivery {
    /// When the record waits to be written.
    #[default]
    Buffered,
    /// When the record is durable.
    Confirmed,
}

/// What is taken out of payloads before they are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedactSettings {
    /// Whether anything is.
    pub enabled: bool,
    /// Names match a key at any depth, names with dots a path from the root.
    pub fields: Vec<String>,
    /// What stands in the place of a value.
    pub placeholder: String,
}

impl Default for RedactSettings {
    fn default() -> Self {
        let fields = ["password", "token", "api_key", "secret"];
        Self {
            enabled: false,
            fields: fields.map(str::to_owned).to_vec(),
            placeholder: "[REDACTED]".into(),
        }
    }
}

/// The keys of every source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceKeys {
    /// What the source is called in logs, metrics and the audit trail.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The adapter.
    #[serde(rename = "type")]
    pub kind: String,
    /// What to put in for fields that its messages lack.
    #[serde(default, deserialize_with = "defaults")]
    #[schemars(with = "DefaultFields")]
    pub defaults: Defaults,
    /// What a throttled action becomes.
    #[serde(default)]
    pub throttled: ThrottledPolicy,
    /// The most of its actions in flight; without it only the bound of the process.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_in_flight: Option<u32>,
}

impl Keys for SourceKeys {
    const TAG: &'static str = "type";
    const DEFAULT: Option<&'static str> = None;
    const PREFIX: &'static str = "source";
}

/// How [`Defaults`] are written.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct DefaultFields {
    #[schemars(length(min = 1, max = 256))]
    namespace: Option<String>,
    #[schemars(length(min = 1, max = 256))]
    tenant: Option<String>,
    #[schemars(length(min = 1, max = 256))]
    provider: Option<String>,
    #[schemars(length(min = 1, max = 256))]
    action_type: Option<String>,
}

fn defaults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Defaults, D::Error> {
    let fields = DefaultFields::deserialize(deserializer)?;
    Ok(Defaults {
        namespace: fields.namespace.map(Into::into),
        tenant: fields.tenant.map(Into::into),
        provider: fields.provider.map(Into::into),
        action_type: fields.action_type.map(Into::into),
    })
}

/// The keys of every provider. What a provider does not say is filled in from `[executor]` before this is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKeys {
    /// What actions and rules call it.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The adapter.
    #[serde(rename = "type")]
    pub kind: String,
    /// How long one attempt may take; by default as in `[executor]`.
    #[serde(
        rename = "timeout_seconds",
        with = "units::seconds",
        default = "timeout"
    )]
    #[schemars(with = "u64", range(min = 1, max = 86_400))]
    pub timeout: Duration,
    /// How many attempts may follow the first; by default as in `[executor]`.
    #[serde(default = "max_retries")]
    #[schemars(range(max = 1000))]
    pub max_retries: u32,
    /// How many attempts run side by side; by default as in `[executor]`.
    #[serde(default = "max_concurrent")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent: u32,
    /// How many actions may wait, those waiting for a retry included.
    #[serde(default = "queue")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub queue: u32,
    /// The provider that delivers while this one's breaker is open.
    #[serde(default)]
    pub fallback_provider: Option<String>,
}

fn timeout() -> Duration {
    ExecutorSettings::default().timeout
}

fn max_retries() -> u32 {
    ExecutorSettings::default().max_retries
}

fn max_concurrent() -> u32 {
    ExecutorSettings::default().max_concurrent
}

fn queue() -> u32 {
    1000
}

impl Keys for ProviderKeys {
    const TAG: &'static str = "type";
    const DEFAULT: Option<&'static str> = None;
    const PREFIX: &'static str = "provider";
}
