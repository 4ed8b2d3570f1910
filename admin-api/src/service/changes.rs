//! Makes and records every administrative change, in one task that continues if the caller hangs up. The names of the
//! changes are those in the audit trail and in metrics.

use std::sync::Arc;

use acteon_core::audit::{AuditDecision, AuditSubject, AuditedOutcome};
use acteon_core::rules::RulesHash;
use acteon_core::state::GroupKey;
use acteon_core::{AuditRecord, Caller, DeadLetter, Labels, Verdict};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::Instrument;
use uuid::Uuid;

use super::{AdminApi, AdminError};
use crate::events;

pub(super) const RELOAD_RULES: &str = "acteon.rules.reload";
pub(super) const TOGGLE_RULE: &str = "acteon.rules.toggle";
pub(super) const REPLAY_LETTER: &str = "acteon.dead_letters.replay";
pub(super) const DELETE_LETTER: &str = "acteon.dead_letters.delete";
pub(super) const SET_BREAKER: &str = "acteon.providers.breaker";
pub(super) const TEST_PROVIDER: &str = "acteon.providers.test";
pub(super) const FLUSH_GROUP: &str = "acteon.groups.flush";
pub(super) const CREATE_SILENCE: &str = "acteon.silences.create";
pub(super) const CHANGE_SILENCE: &str = "acteon.silences.change";
pub(super) const END_SILENCE: &str = "acteon.silences.end";

/// The names of all changes.
pub(super) const CHANGE_NAMES: [&str; 10] = [
    RELOAD_RULES,
    TOGGLE_RULE,
    REPLAY_LETTER,
    DELETE_LETTER,
    SET_BREAKER,
    TEST_PROVIDER,
    FLUSH_GROUP,
    CREATE_SILENCE,
    CHANGE_SILENCE,
    END_SILENCE,
];

/// The source in the record of a change, where an action has its position in a source.
pub(super) const SOURCE: &str = "admin";

/// The change to make.
pub(super) struct Change {
    /// The record's `action_type`, such as `acteon.rules.reload`.
    name: &'static str,
    namespace: CompactString,
    tenant: CompactString,
}

/// The result of a change that was made.
pub(super) struct CompletedChange<T> {
    /// The record's outcome, in lower snake case.
    pub(super) outcome: &'static str,
    /// The record's outcome details, an object.
    pub(super) details: Value,
    /// The answer to the caller.
    pub(super) answer: T,
}

impl Change {
    /// A change that affects all tenants.
    pub(super) fn shared(name: &'static str) -> Self {
        Self {
            name,
            namespace: CompactString::default(),
            tenant: CompactString::default(),
        }
    }

    /// A change to a group.
    pub(super) fn of_group(name: &'static str, group: &GroupKey) -> Self {
        Self {
            name,
            namespace: group.namespace.clone(),
            tenant: group.tenant.clone(),
        }
    }

    /// A change to a silence of this namespace and tenant, which may be those of every name.
    pub(super) fn of_silence(name: &'static str, namespace: &str, tenant: &str) -> Self {
        Self {
            name,
            namespace: namespace.into(),
            tenant: tenant.into(),
        }
    }

    /// A change to a dead letter, recorded under the namespace and tenant of its action.
    pub(super) fn of_letter(name: &'static str, letter: &DeadLetter) -> Self {
        match &letter.action {
            None => Self::shared(name),
            Some(action) => Self {
                name,
                namespace: action.namespace.clone(),
                tenant: action.tenant.clone(),
            },
        }
    }
}

impl AdminApi {
    /// Makes a change and records it with its caller, even if it fails, unless there was nothing to change.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        caller: Caller,
        change: Change,
        work: impl Future<Output = Result<CompletedChange<T>, AdminError>> + Send + 'static,
    ) -> Result<T, AdminError> {
        let api = self.clone();
        let whole = async move {
            let began = api.ports.clock.now();
            let result = work.await;
            let outcome = match &result {
                Ok(change) => audited(change.outcome, &change.details),
                Err(error) if error.changed_nothing() => return result.map(|change| change.answer),
                Err(error) => audited("failed", &json!({"message": error.to_string()})),
            };
            events::changed(change.name, &outcome);
            let recorded = api.record(caller, change, began, outcome).await;
            let answer = result?.answer;
            recorded.map(|()| answer)
        };
        let task = self.changes.spawn(whole.in_current_span());
        task.await.unwrap_or_else(|error| {
            events::change_aborted(&error);
            Err(AdminError::Aborted)
        })
    }

    async fn record(
        &self,
        caller: Caller,
        change: Change,
        began: Timestamp,
        outcome: AuditedOutcome,
    ) -> Result<(), AdminError> {
        let Some(audit) = &self.ports.audit else {
            return Ok(());
        };
        let now = self.ports.clock.now();
        let id = record_id(now);
        let rules = self.ports.rulebook.rules();
        let record = AuditRecord {
            id,
            subject: AuditSubject {
                action_id: format_compact!("{id}"),
                namespace: change.namespace,
                tenant: change.tenant,
                provider: CompactString::default(),
                action_type: change.name.into(),
                trace_id: None,
            },
            decision: AuditDecision {
                verdict: Verdict::Allow,
                matched_rule: None,
                details: None,
                rules_generation: rules.generation,
                rules_hash: RulesHash::of(&rules.content_hash),
            },
            outcome,
            payload: None,
            metadata: Labels::default(),
            dispatched_at: began,
            completed_at: now,
            expires_at: None,
            caller,
            source: SOURCE.into(),
            attempts: Vec::new(),
        };
        audit.trail.record(vec![record]).await.map_err(|error| {
            events::unrecorded(change.name, &error);
            AdminError::Unrecorded(error)
        })
    }
}

fn audited(name: &str, details: &Value) -> AuditedOutcome {
    let details =
        serde_json::value::to_raw_value(details).unwrap_or_else(|_| RawValue::NULL.to_owned());
    AuditedOutcome::Other(name.into(), Arc::from(details))
}

fn record_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}
