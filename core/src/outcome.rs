//! What became of an action, as the wire shows it: one JSON object with the variant's name as its only key.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::verdict::Verdict;

/// The length in bytes up to which the body of an answer is remembered.
pub const REMEMBERED_BODY_BYTES_MAX: usize = 4096;

/// What became of an action. Cloning shares provider bodies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ActionOutcome {
    /// The sink accepted it.
    Executed(ProviderResponse),
    /// The key was delivered before, inside its window.
    Deduplicated(()),
    /// A suppress or deny rule.
    #[allow(missing_docs)]
    Suppressed { rule: CompactString },
    /// Delivered by another sink than the one asked for: a reroute rule, or a fallback.
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
    /// A state machine rule; equal states: nothing changed.
    #[allow(missing_docs)]
    StateChanged {
        fingerprint: CompactString,
        previous_state: CompactString,
        new_state: CompactString,
        notify: bool,
    },
    /// The sink's breaker is open and no fallback took it.
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
    },
}

impl ActionOutcome {
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

    /// The same with a short body in the place of one of more than [`REMEMBERED_BODY_BYTES_MAX`]: what is remembered to be
    /// answered again.
    #[must_use]
    pub fn abridged(&self) -> Self {
        let mut outcome = self.clone();
        if outcome.body_bytes() > REMEMBERED_BODY_BYTES_MAX
            && let Some(response) = outcome.response_mut()
            && let Ok(short) = serde_json::value::to_raw_value(&Truncated { truncated: true })
        {
            response.body = short.into();
        }
        outcome
    }

    /// How many bytes the provider's body has; 0 where there is none.
    pub fn body_bytes(&self) -> usize {
        match self {
            Self::Executed(response) | Self::Rerouted { response, .. } => response.body.get().len(),
            Self::Deduplicated(())
            | Self::Suppressed { .. }
            | Self::Throttled { .. }
            | Self::Failed(_)
            | Self::Grouped { .. }
            | Self::StateChanged { .. }
            | Self::CircuitOpen { .. }
            | Self::DryRun { .. } => 0,
        }
    }

    fn response_mut(&mut self) -> Option<&mut ProviderResponse> {
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

    /// True when a sink has accepted the action.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Executed(_) | Self::Rerouted { .. })
    }
}

/// Replaces a body that was too long to be remembered.
#[derive(Serialize)]
struct Truncated {
    truncated: bool,
}

/// What a provider answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderResponse {
    /// How it went; a 2xx whose body could not be read is a success with a note in the body.
    pub status: ResponseStatus,
    /// Always a JSON object.
    pub body: Arc<RawValue>,
    /// Header names in lower case. Secrets are left out.
    #[serde(with = "pairs")]
    pub headers: Vec<(CompactString, CompactString)>,
}

/// How a provider took the action.
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

/// `body` must be an object: the contract with clients says so.
#[derive(Debug, Error)]
#[error("a provider's response body must be a JSON object")]
pub struct NotAnObject;

impl ProviderResponse {
    /// A success with this JSON object as body.
    ///
    /// # Errors
    /// When `body` does not serialize to an object.
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
    /// True when the same action could succeed later.
    pub retryable: bool,
    /// How often the sink was asked.
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
