//! The outcome of an action, as the wire shows it: one JSON object with the variant's name as its only key.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::verdict::Verdict;

/// The maximum length, in bytes, of a remembered body.
pub const REMEMBERED_BODY_BYTES_MAX: usize = 4096;

/// The outcome of an action. Cloning shares provider bodies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ActionOutcome {
    /// The sink accepted it.
    Executed(ProviderResponse),
    /// The key was delivered before, inside its window.
    Deduplicated(()),
    /// A suppress or deny rule.
    #[allow(missing_docs)]
    Suppressed { rule: CompactString },
    /// Delivered by another provider than the requested one: a reroute rule, or a fallback.
    #[allow(missing_docs)]
    Rerouted {
        original_provider: CompactString,
        new_provider: CompactString,
        response: ProviderResponse,
    },
    /// Over the limit; the time is the real remaining wait.
    #[allow(missing_docs)]
    Throttled { retry_after: Duration },
    /// All attempts failed.
    Failed(Failure),
    /// Joined a group.
    #[allow(missing_docs)]
    Grouped {
        group_id: CompactString,
        group_size: u32,
        notify_at: Timestamp,
    },
    /// A state machine rule applied. Nothing changed if the states are equal.
    #[allow(missing_docs)]
    StateChanged {
        fingerprint: CompactString,
        previous_state: CompactString,
        new_state: CompactString,
        notify: bool,
        /// The silence that withheld its notice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silenced_by: Option<CompactString>,
    },
    /// The provider's breaker is open and no fallback accepted the action.
    #[allow(missing_docs)]
    CircuitOpen {
        provider: CompactString,
        fallback_chain: Vec<CompactString>,
    },
    /// What would have happened. The provider is the requested one when nothing would be delivered.
    #[allow(missing_docs)]
    DryRun {
        verdict: Verdict,
        matched_rule: Option<CompactString>,
        would_be_provider: CompactString,
        /// The silence that would withhold it now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silenced_by: Option<CompactString>,
    },
}

impl ActionOutcome {
    /// True if a provider should have accepted the action and has not.
    pub fn has_failed(&self) -> bool {
        match self {
            Self::Failed(_) | Self::CircuitOpen { .. } => true,
            Self::Executed(_)
            | Self::Deduplicated(())
            | Self::Suppressed { .. }
            | Self::Rerouted { .. }
            | Self::Throttled { .. }
            | Self::Grouped { .. }
            | Self::StateChanged { .. }
            | Self::DryRun { .. } => false,
        }
    }

    /// The variant's name in lower snake case, as the audit trail writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Executed(_) => "executed",
            Self::Deduplicated(()) => "deduplicated",
            Self::Suppressed { .. } => "suppressed",
            Self::Rerouted { .. } => "rerouted",
            Self::Throttled { .. } => "throttled",
            Self::Failed(_) => "failed",
            Self::Grouped { .. } => "grouped",
            Self::StateChanged { .. } => "state_changed",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::DryRun { .. } => "dry_run",
        }
    }

    /// The outcome to remember: a body of more than [`REMEMBERED_BODY_BYTES_MAX`] is replaced by a short one.
    #[must_use]
    pub fn abridged(&self) -> Self {
        let mut outcome = self.clone();
        if let Self::Executed(response) | Self::Rerouted { response, .. } = &mut outcome
            && response.body.get().len() > REMEMBERED_BODY_BYTES_MAX
            && let Ok(short) = serde_json::value::to_raw_value(&Truncated { truncated: true })
        {
            response.body = short.into();
        }
        outcome
    }

    /// The provider's response, if a sink accepted the action.
    pub fn response(&self) -> Option<&ProviderResponse> {
        match self {
            Self::Executed(response) | Self::Rerouted { response, .. } => Some(response),
            Self::Deduplicated(())
            | Self::Suppressed { .. }
            | Self::Throttled { .. }
            | Self::Failed(_)
            | Self::Grouped { .. }
            | Self::StateChanged { .. }
            | Self::CircuitOpen { .. }
            | Self::DryRun { .. } => None,
        }
    }

    /// The length of the provider's body in bytes; 0 if there is none.
    pub fn body_bytes(&self) -> usize {
        self.response()
            .map_or(0, |response| response.body.get().len())
    }

    /// True if a sink accepted the action.
    pub fn is_delivered(&self) -> bool {
        self.response().is_some()
    }
}

/// Replaces a body that is too long to be remembered.
#[derive(Serialize)]
struct Truncated {
    truncated: bool,
}

/// The response of a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderResponse {
    /// The result. A 2xx whose body could not be read is a success; the body says so.
    pub status: ResponseStatus,
    /// Always a JSON object.
    pub body: Arc<RawValue>,
    /// Header names are lower case. Secrets are left out.
    #[serde(with = "pairs")]
    pub headers: Vec<(CompactString, CompactString)>,
}

/// How the provider received the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ResponseStatus {
    Success,
    Failure,
    Partial,
}

impl ResponseStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Partial => "partial",
        }
    }
}

/// The contract with clients requires an object.
#[derive(Debug, Error)]
#[error("a provider's response body must be a JSON object")]
pub struct NotAnObject;

impl ProviderResponse {
    /// A success with this JSON object as its body.
    ///
    /// # Errors
    /// If `body` does not serialize to an object.
    pub fn success<T: Serialize>(body: &T) -> Result<Self, NotAnObject> {
        let body = serde_json::value::to_raw_value(body).map_err(|_| NotAnObject)?;
        if !body.get().starts_with('{') {
            return Err(NotAnObject);
        }
        Ok(Self {
            status: ResponseStatus::Success,
            body: body.into(),
            headers: Vec::new(),
        })
    }
}

/// Why all attempts failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: FailureCode,
    /// One sentence for people; no secrets, no payload.
    pub message: CompactString,
    /// True if the same action may succeed later.
    pub retryable: bool,
    /// How often the sink was called.
    pub attempts: u32,
}

/// The stable codes of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum FailureCode {
    ProviderNotFound,
    ExecutionFailed,
    Timeout,
    Connection,
    Configuration,
    RateLimited,
    Serialization,
    InvalidTransition,
}

impl FailureCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::ProviderNotFound,
        Self::ExecutionFailed,
        Self::Timeout,
        Self::Connection,
        Self::Configuration,
        Self::RateLimited,
        Self::Serialization,
        Self::InvalidTransition,
    ];

    /// The code on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProviderNotFound => "PROVIDER_NOT_FOUND",
            Self::ExecutionFailed => "EXECUTION_FAILED",
            Self::Timeout => "TIMEOUT",
            Self::Connection => "CONNECTION",
            Self::Configuration => "CONFIGURATION",
            Self::RateLimited => "RATE_LIMITED",
            Self::Serialization => "SERIALIZATION",
            Self::InvalidTransition => "INVALID_TRANSITION",
        }
    }
}

/// Reads and writes a list of pairs as a JSON object.
mod pairs {
    use std::collections::BTreeMap;

    use compact_str::CompactString;
    use serde::{Deserialize, Deserializer, Serializer};

    type Pairs = Vec<(CompactString, CompactString)>;

    pub(super) fn serialize<S: Serializer>(pairs: &Pairs, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(pairs.iter().map(|(key, value)| (key, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Pairs, D::Error> {
        Ok(BTreeMap::deserialize(d)?.into_iter().collect())
    }
}
