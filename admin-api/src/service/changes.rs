//! Every administrative change goes through here: it is made and recorded in one task that does not end with its
//! caller's connection.

use std::sync::Arc;

use acteon_core::audit::{AuditDecision, AuditSubject, AuditedOutcome};
use acteon_core::rules::RulesHash;
use acteon_core::{AuditRecord, Caller, DeadLetter, Labels, Verdict};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::Instrument;
use uuid::Uuid;

use super::{AdminApi, AdminError};
use crate::events;

/// Stands in the record of a change where an action has its place in a source.
const SOURCE: &str = "admin";

/// What is about to be changed.
pub(super) struct Change {
    /// The record's `action_type`, such as `acteon.rules.reload`.
    name: &'static str,
    namespace: CompactString,
    tenant: CompactString,
}

/// A change that was made.
pub(super) struct Changed<T> {
    /// The record's outcome, in lower snake case.
    pub(super) outcome: &'static str,
    /// The record's outcome details: an object.
    pub(super) details: Value,
    /// What the caller is told.
    pub(super) answer: T,
}

impl Change {
    /// A change to what all tenants share.
    pub(super) fn shared(name: &'static str) -> Self {
        Self {
            name,
            namespace: CompactString::default(),
            tenant: CompactString::default(),
        }
    }

    /// A change to a dead letter, recorded where its action belongs.
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
    /// Makes a change and records it with its caller, also when it fails, unless there was nothing to change.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        caller: Caller,
        change: Change,
        work: impl Future<Output = Result<Changed<T>, AdminError>> + Send + 'static,
    ) -> Result<T, AdminError> {
        let api = self.clone();
        let whole = async move {
            let began = api.ports.clock.now();
            let ended = work.await;
            let outcome = match &ended {
                Ok(changed) => noted(changed.outcome, &changed.details),
                Err(error) if error.is_absence() => return ended.map(|changed| changed.answer),
                Err(error) => noted("failed", &json!({"message": error.to_string()})),
            };
            events::changed(change.name, &outcome);
            let recorded = api.record(caller, change, began, outcome).await;
            let answer = ended?.answer;
            recorded.map(|()| answer)
        };
        let task = self.changes.spawn(whole.in_current_span());
        task.await.unwrap_or_else(|error| {
            events::broke_off(&error);
            Err(AdminError::BrokenOff)
        })
    }

    async fn record(
        &self,
        caller: Caller,
        change: Change,
        began: Timestamp,
        outcome: AuditedOutcome,
    ) -> Result<(), AdminError> {
        let Some(trail) = &self.ports.trail else {
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
        trail.record(vec![record]).await.map_err(|error| {
            events::unrecorded(change.name, &error);
            AdminError::Unrecorded(error)
        })
    }
}

fn noted(name: &str, details: &Value) -> AuditedOutcome {
    let details =
        serde_json::value::to_raw_value(details).unwrap_or_else(|_| RawValue::NULL.to_owned());
    AuditedOutcome::Other(name.into(), Arc::from(details))
}

fn record_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}
