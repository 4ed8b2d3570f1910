//! The sections that name an adapter: the keys common to its family, and the adapter's own options, already parsed.

use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use acteon_core::decode::Defaults;
use acteon_core::{Family, Plan, ThrottledPolicy};

use crate::Options;
use crate::section::Section;

/// A section that names an adapter.
pub struct Adapted<K, F: Family> {
    /// The keys common to all adapters of the family.
    pub keys: K,
    /// The adapter with its own options, ready to be built.
    pub plan: Plan<F>,
    /// Locates errors found later.
    pub section: Section,
}

impl<K, F: Family> Deref for Adapted<K, F> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.keys
    }
}

impl<K: fmt::Debug, F: Family> fmt::Debug for Adapted<K, F> {
    /// Shows the common keys only, because an adapter's options may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Adapted");
        shown.field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The keys that a section has beside the options of its adapter.
pub(crate) trait AdapterKeys: DeserializeOwned + JsonSchema {
    /// The key that names the adapter.
    const TAG: &'static str;
    /// The adapter used if none is named.
    const DEFAULT: Option<&'static str>;
    /// The prefix of the family's definitions in the schema.
    const PREFIX: &'static str;
    /// The section that provides the values of missing keys.
    const FALLBACK_SECTION: Option<&'static str> = None;
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

impl AdapterKeys for StateKeys {
    const TAG: &'static str = "backend";
    const DEFAULT: Option<&'static str> = Some("memory");
    const PREFIX: &'static str = "state";
}

/// The keys of `[audit]`. `T` holds the pipeline's keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditKeys<T: Default> {
    /// The backend for audit records.
    pub backend: String,
    /// Whether records are kept.
    pub enabled: bool,
    /// How records are kept.
    #[serde(flatten)]
    pub trail: T,
    /// Whether records hold payloads.
    pub store_payload: bool,
    /// The fields hidden in recorded payloads.
    pub redact: RedactSettings,
}

impl<T: Default> Default for AuditKeys<T> {
    fn default() -> Self {
        Self {
            backend: "memory".into(),
            enabled: true,
            trail: T::default(),
            store_payload: true,
            redact: RedactSettings::default(),
        }
    }
}

impl<T: Options + Default> AdapterKeys for AuditKeys<T> {
    const TAG: &'static str = "backend";
    const DEFAULT: Option<&'static str> = Some("memory");
    const PREFIX: &'static str = "audit";
}

/// The fields hidden in recorded payloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedactSettings {
    /// Whether fields are hidden.
    pub enabled: bool,
    /// A name matches a key at any depth; a name with dots is a path from the root.
    pub fields: Vec<String>,
    /// Replaces each hidden value.
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
    /// The source's name in logs, metrics and the audit trail.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The adapter.
    #[serde(rename = "type")]
    pub kind: String,
    /// Values of fields that its messages lack.
    #[serde(default, deserialize_with = "defaults")]
    #[schemars(with = "DefaultFields")]
    pub defaults: Defaults,
    /// What happens to a throttled action.
    #[serde(default)]
    pub throttled: ThrottledPolicy,
    /// The maximum number of its actions in flight. Default: only the limit of the process.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_in_flight: Option<u32>,
}

impl AdapterKeys for SourceKeys {
    const TAG: &'static str = "type";
    const DEFAULT: Option<&'static str> = None;
    const PREFIX: &'static str = "source";
}

/// [`Defaults`] in the configuration file.
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

/// The keys of every provider. `K` holds the pipeline's keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ProviderKeys<K> {
    /// The provider's name in actions and rules.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The adapter.
    #[serde(rename = "type")]
    pub kind: String,
    /// A missing key has the value of `[executor]`, filled in before this is read.
    #[serde(flatten)]
    pub limits: K,
}

impl<K: Options> AdapterKeys for ProviderKeys<K> {
    const TAG: &'static str = "type";
    const DEFAULT: Option<&'static str> = None;
    const PREFIX: &'static str = "provider";
    const FALLBACK_SECTION: Option<&'static str> = Some("executor");
}
