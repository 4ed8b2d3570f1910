//! The port to the audit trail, and the contents of one record.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::action::{Labels, Payload};
use crate::attempt::AttemptRecord;
use crate::delivery::{Caller, Position};
use crate::outcome::{ActionOutcome, FailureCode, ResponseStatus};
use crate::registry::{Embedded, Family};
use crate::rules::RulesHash;
use crate::scope::Scope;
use crate::verdict::{Verdict, VerdictDetails};

/// An audit backend.
#[async_trait]
pub trait Audit: Send + Sync {
    /// The file that the server opens and closes, if the records are in one.
    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        None
    }

    /// Checks that the backend answers.
    async fn ping(&self) -> Result<(), AuditError>;

    /// Stores records. A record whose id already exists is ignored.
    async fn append(&self, records: &[Arc<AuditRecord>]) -> Result<(), AuditError>;

    /// Lists the records inside the query's scope, newest first, ties ordered by id.
    async fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditError>;

    /// Returns the newest record of an action, if it is inside the scope.
    async fn newest_of(
        &self,
        scope: &Scope,
        action_id: &str,
    ) -> Result<Option<Arc<AuditRecord>>, AuditError>;

    /// Deletes at most `limit` records that expired before `now`. Returns how many it deleted.
    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, AuditError>;
}

/// Accepts records on their way to the backend. The implementation decides when they are written, in which batches, and
/// how long they are kept.
#[async_trait]
pub trait Trail: Send + Sync {
    /// Accepts records, waiting while there is no room. With `confirmed` delivery, returns once they are durable. Sets
    /// `expires_at` of each.
    async fn record(&self, records: Vec<AuditRecord>) -> Result<(), AuditError>;
}

/// Why the audit backend returned no answer.
#[derive(Debug, Error)]
pub enum AuditError {
    /// It is unreachable or overloaded. A later call may succeed.
    #[error("the audit backend does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It returned data that cannot be read.
    #[error("the audit backend returned unreadable data: {0}")]
    Corrupt(String),
}

/// One decision or administrative change. It is redacted before it is built, so that no backend sees hidden fields.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// UUID v7. Writes are idempotent by this id.
    pub id: Uuid,
    /// The action or administrative change.
    pub subject: AuditSubject,
    /// The decision of the rules.
    pub decision: AuditDecision,
    /// The outcome.
    pub outcome: AuditedOutcome,
    /// As delivered, redacted; `None` when payloads are not stored.
    pub payload: Option<Payload>,
    /// The labels, plus `__dedup_key`, `__fingerprint` and `__status` where the action has them.
    pub metadata: Labels,
    /// When the action was read.
    pub dispatched_at: Timestamp,
    /// When it was settled.
    pub completed_at: Timestamp,
    /// When the record may be deleted; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Who sent it.
    pub caller: Caller,
    /// The place in the source, such as `kafka:orders/3@1042`.
    pub source: Position,
    /// The last attempts, oldest first. Empty if no sink was called, or if the first one accepted the action.
    pub attempts: Vec<AttemptRecord>,
}

/// The action or administrative change of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSubject {
    /// The action's id, or the id of the administrative change.
    pub action_id: CompactString,
    /// Empty for an administrative change that belongs to no namespace.
    pub namespace: CompactString,
    /// Empty for an administrative change that belongs to no tenant.
    pub tenant: CompactString,
    /// The provider that was used.
    pub provider: CompactString,
    /// The action's type, or the name of the administrative change, such as `acteon.rules.reload`.
    pub action_type: CompactString,
    /// 32 hex digits.
    pub trace_id: Option<CompactString>,
}

impl AuditSubject {
    /// True if the scope covers it.
    pub fn is_inside(&self, scope: &Scope) -> bool {
        scope.covers(&self.namespace, &self.tenant, &self.action_type)
    }
}

/// The decision of the rules in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDecision {
    /// The verdict.
    pub verdict: Verdict,
    /// The deciding rule, for every verdict but allow.
    pub matched_rule: Option<CompactString>,
    /// The short explanation, if it adds anything to the verdict and its rule.
    pub details: Option<Box<VerdictDetails>>,
    /// The generation of the rules that decided.
    pub rules_generation: u64,
    /// Identifies the files of these rules.
    pub rules_hash: RulesHash,
}

/// The outcome of an action as the audit trail shows it, without the provider's body and headers.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum AuditedOutcome {
    Executed {
        status: ResponseStatus,
    },
    Failed {
        code: FailureCode,
        message: CompactString,
        retryable: bool,
        attempts: u32,
    },
    Suppressed {
        rule: CompactString,
    },
    Rerouted {
        original_provider: CompactString,
        new_provider: CompactString,
    },
    Throttled {
        retry_after_secs: f64,
    },
    Grouped {
        group_id: CompactString,
        group_size: u32,
        notify_at: Timestamp,
    },
    StateChanged {
        fingerprint: CompactString,
        previous_state: CompactString,
        new_state: CompactString,
        notify: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        silenced_by: Option<CompactString>,
    },
    CircuitOpen {
        provider: CompactString,
        fallback_chain: Vec<CompactString>,
    },
    Deduplicated {},
    /// An administrative change, or an outcome read back from a backend's store: a name and a JSON object.
    #[serde(serialize_with = "details_only")]
    Other(CompactString, Arc<RawValue>),
}

fn details_only<S: Serializer>(
    _name: &CompactString,
    details: &Arc<RawValue>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    details.serialize(serializer)
}

impl AuditedOutcome {
    /// The outcome's name in lower snake case.
    pub fn name(&self) -> &str {
        match self {
            Self::Executed { .. } => "executed",
            Self::Failed { .. } => "failed",
            Self::Suppressed { .. } => "suppressed",
            Self::Rerouted { .. } => "rerouted",
            Self::Throttled { .. } => "throttled",
            Self::Grouped { .. } => "grouped",
            Self::StateChanged { .. } => "state_changed",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Deduplicated {} => "deduplicated",
            Self::Other(name, _) => name,
        }
    }
}

impl From<&ActionOutcome> for AuditedOutcome {
    fn from(outcome: &ActionOutcome) -> Self {
        match outcome.clone() {
            ActionOutcome::Executed(response) => Self::Executed {
                status: response.status,
            },
            ActionOutcome::Deduplicated(()) => Self::Deduplicated {},
            ActionOutcome::Suppressed { rule } => Self::Suppressed { rule },
            ActionOutcome::Rerouted {
                original_provider,
                new_provider,
                ..
            } => Self::Rerouted {
                original_provider,
                new_provider,
            },
            ActionOutcome::Throttled { retry_after } => Self::Throttled {
                retry_after_secs: retry_after.as_secs_f64(),
            },
            ActionOutcome::Failed(f) => Self::Failed {
                code: f.code,
                message: f.message,
                retryable: f.retryable,
                attempts: f.attempts,
            },
            ActionOutcome::Grouped {
                group_id,
                group_size,
                notify_at,
            } => Self::Grouped {
                group_id,
                group_size,
                notify_at,
            },
            ActionOutcome::StateChanged {
                fingerprint,
                previous_state,
                new_state,
                notify,
                silenced_by,
            } => Self::StateChanged {
                fingerprint,
                previous_state,
                new_state,
                notify,
                silenced_by,
            },
            ActionOutcome::CircuitOpen {
                provider,
                fallback_chain,
            } => Self::CircuitOpen {
                provider,
                fallback_chain,
            },
            ActionOutcome::DryRun { .. } => {
                Self::Other("dry_run".into(), Arc::from(RawValue::NULL.to_owned()))
            }
        }
    }
}

/// Selects the records to list.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct AuditQuery {
    pub scope: Scope,
    pub filter: AuditFilter,
    pub start: PageStart,
    /// The maximum page length.
    pub limit: usize,
}

/// Every filter that is set must match.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct AuditFilter {
    pub namespace: Option<CompactString>,
    pub tenant: Option<CompactString>,
    pub provider: Option<CompactString>,
    pub action_type: Option<CompactString>,
    /// Compared without regard to case.
    pub outcome: Option<CompactString>,
    /// Compared without regard to case.
    pub verdict: Option<CompactString>,
    pub matched_rule: Option<CompactString>,
    pub caller_id: Option<CompactString>,
    /// Dispatched at this time or later.
    pub from: Option<Timestamp>,
    /// Dispatched before this time.
    pub to: Option<Timestamp>,
}

impl AuditQuery {
    /// The newest `limit` records of a scope.
    pub fn newest(scope: Scope, limit: usize) -> Self {
        Self {
            scope,
            filter: AuditFilter::default(),
            start: PageStart::Offset(0),
            limit,
        }
    }

    /// True if the record is inside the scope and every filter matches. Used by backends that filter in memory and by
    /// the naive model of the contract suite.
    pub fn matches(&self, record: &AuditRecord) -> bool {
        record.subject.is_inside(&self.scope) && self.filter.matches(record)
    }
}

impl AuditFilter {
    fn matches(&self, record: &AuditRecord) -> bool {
        let is = |filter: &Option<CompactString>, value: &str| {
            filter.as_deref().is_none_or(|wanted| wanted == value)
        };
        let like = |filter: &Option<CompactString>, value: &str| {
            filter
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let some = |filter: &Option<CompactString>, value: Option<&str>| {
            filter.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        let subject = &record.subject;
        let decision = &record.decision;
        is(&self.namespace, &subject.namespace)
            && is(&self.tenant, &subject.tenant)
            && is(&self.provider, &subject.provider)
            && is(&self.action_type, &subject.action_type)
            && like(&self.outcome, record.outcome.name())
            && like(&self.verdict, decision.verdict.as_str())
            && some(&self.matched_rule, decision.matched_rule.as_deref())
            && some(&self.caller_id, record.caller.id.as_deref())
            && self.from.is_none_or(|from| record.dispatched_at >= from)
            && self.to.is_none_or(|to| record.dispatched_at < to)
    }
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After this many records.
    Offset(u64),
    /// After the record at this position.
    After(AuditCursor),
}

/// The position of a record in the order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AuditCursor {
    pub dispatched_at: Timestamp,
    pub id: Uuid,
}

impl AuditCursor {
    /// The position of `record`.
    pub fn of(record: &AuditRecord) -> Self {
        Self {
            dispatched_at: record.dispatched_at,
            id: record.id,
        }
    }
}

impl Ord for AuditCursor {
    /// By time, then by id. Ids are compared as numbers, which is faster than comparing bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_id = || self.id.as_u128().cmp(&other.id.as_u128());
        self.dispatched_at
            .cmp(&other.dispatched_at)
            .then_with(by_id)
    }
}

impl PartialOrd for AuditCursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One page of records.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// Newest first.
    pub records: Vec<Arc<AuditRecord>>,
    /// The number of all matching records.
    pub total: u64,
    /// The start of the next page, if there is one.
    pub next: Option<AuditCursor>,
}

/// The family of audit backends.
pub struct Audits;

impl Family for Audits {
    const NAME: &'static str = "audit backend";
    type Context = AuditContext;
    type Product = Arc<dyn Audit>;
}

/// The context in which an audit backend is built.
#[derive(Clone, Debug, Default)]
pub struct AuditContext {
    /// The folder of the configuration file, to which paths are relative.
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_outcome_is_written_as_its_json_object() {
        let details = RawValue::from_string(r#"{"loaded":3}"#.to_owned()).unwrap();
        let outcome = AuditedOutcome::Other("reloaded".into(), details.into());
        assert_eq!(serde_json::to_string(&outcome).unwrap(), r#"{"loaded":3}"#);
    }
}
