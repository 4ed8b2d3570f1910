//! Why there was a notice about an event, or why there was none: its machine's record, and the newest records about it
//! in the audit trail.

use std::sync::Arc;

use acteon_core::audit::{AuditFilter, AuditQuery, AuditedOutcome, PageStart};
use acteon_core::event_admin::EventDetails;
use acteon_core::silence::SILENCE_RULE_PREFIX;
use acteon_core::state::{EventId, StoredEvent};
use acteon_core::{AuditRecord, Verdict};
use compact_str::CompactString;
use serde_json::Value;

use super::{Access, AdminApi, AdminError};

/// How many records are shown.
const SHOWN_MAX: usize = 20;
/// How many records of the event's type are read at most, and how many at once.
const READ_MAX: usize = 5000;
const PAGE: usize = 500;

/// What is known about an event and its notices.
pub struct EventExplanation {
    /// The event.
    pub stored: Arc<StoredEvent>,
    /// What its machine keeps of it.
    pub details: EventDetails,
    /// The newest records about it, newest first. Empty without an audit trail.
    pub reports: Vec<Arc<AuditRecord>>,
    /// How many records of its type were read to find them.
    pub examined: usize,
}

impl EventExplanation {
    /// The rule whose machine the newest counted report used.
    pub fn rule(&self) -> Option<&CompactString> {
        let mut reports = self.reports.iter();
        let counted = reports.find(|one| one.decision.verdict == Verdict::StateMachine);
        counted?.decision.matched_rule.as_ref()
    }

    /// The rule that suppressed the newest report.
    pub fn inhibited_by(&self) -> Option<&CompactString> {
        let newest = &self.reports.first()?.decision;
        let is_suppressed = matches!(newest.verdict, Verdict::Suppress | Verdict::Deny);
        let rule = newest.matched_rule.as_ref().filter(|_| is_suppressed)?;
        (!rule.starts_with(SILENCE_RULE_PREFIX)).then_some(rule)
    }

    /// The newest record with attempts.
    pub fn attempted(&self) -> Option<&Arc<AuditRecord>> {
        self.reports.iter().find(|one| !one.attempts.is_empty())
    }

    /// The newest report that joined a group.
    pub fn grouped(&self) -> Option<&Arc<AuditRecord>> {
        let mut reports = self.reports.iter();
        reports.find(|one| one.outcome.name() == "grouped")
    }
}

impl AdminApi {
    /// Explains an event by its record and by the newest records of its type in the audit trail.
    ///
    /// # Errors
    /// There is no such event inside the scope, or a backend cannot be reached.
    pub async fn explain(
        &self,
        access: &Access,
        event: &EventId,
    ) -> Result<EventExplanation, AdminError> {
        let stored = self.event(access, event).await?;
        let mut found = FoundReports::default();
        match self.find_reports(access, &stored, &mut found).await {
            Ok(()) | Err(AdminError::AuditDisabled) => {}
            Err(error) => return Err(error),
        }
        Ok(EventExplanation {
            details: self.event_details(&stored),
            stored,
            reports: found.reports,
            examined: found.examined,
        })
    }

    async fn find_reports(
        &self,
        access: &Access,
        stored: &StoredEvent,
        found: &mut FoundReports,
    ) -> Result<(), AdminError> {
        let mut start = PageStart::Offset(0);
        while found.reports.len() < SHOWN_MAX && found.examined < READ_MAX {
            let query = AuditQuery {
                scope: access.scope.clone(),
                filter: AuditFilter {
                    namespace: Some(stored.event.namespace.clone()),
                    tenant: Some(stored.event.tenant.clone()),
                    action_type: Some(stored.record.event_type.clone()),
                    ..AuditFilter::default()
                },
                start,
                limit: PAGE,
            };
            let page = self.audit(&query).await?;
            found.examined += page.records.len();
            let about = page.records.into_iter().filter(|one| is_about(one, stored));
            let room = SHOWN_MAX - found.reports.len();
            found.reports.extend(about.take(room));
            match page.next {
                Some(next) => start = PageStart::After(next),
                None => break,
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct FoundReports {
    reports: Vec<Arc<AuditRecord>>,
    examined: usize,
}

/// True for a record about the event: it names its fingerprint, or, where a rule or a group came before the machine, it
/// has the labels of the event.
fn is_about(record: &AuditRecord, stored: &StoredEvent) -> bool {
    let fingerprint = &stored.event.fingerprint;
    match changed(&record.outcome) {
        Some(changed) => changed == *fingerprint,
        None => match record.metadata.get("__fingerprint") {
            Some(own) => own == fingerprint,
            None => has_labels(record, stored),
        },
    }
}

/// The fingerprint of the event that a record has changed.
fn changed(outcome: &AuditedOutcome) -> Option<CompactString> {
    match outcome {
        AuditedOutcome::StateChanged { fingerprint, .. } => Some(fingerprint.clone()),
        AuditedOutcome::Other(name, details) if name == "state_changed" => {
            let details: Value = serde_json::from_str(details.get()).ok()?;
            Some(details["fingerprint"].as_str()?.into())
        }
        AuditedOutcome::Other(..)
        | AuditedOutcome::Executed { .. }
        | AuditedOutcome::Failed { .. }
        | AuditedOutcome::Suppressed { .. }
        | AuditedOutcome::Rerouted { .. }
        | AuditedOutcome::Throttled { .. }
        | AuditedOutcome::Grouped { .. }
        | AuditedOutcome::CircuitOpen { .. }
        | AuditedOutcome::Deduplicated {} => None,
    }
}

fn has_labels(record: &AuditRecord, stored: &StoredEvent) -> bool {
    let own = record.metadata.iter();
    let mut own = own.filter(|(name, _)| !name.starts_with("__")).peekable();
    own.peek().is_some() && own.all(|(name, value)| stored.record.has_value(name, value))
}
