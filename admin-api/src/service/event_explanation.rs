//! Why there was a notice about an event, or why there was none: its machine's record, and the newest records about it
//! in the audit trail. An event of which no report has counted is known from the trail alone.

use std::sync::Arc;

use acteon_core::audit::{AuditFilter, AuditQuery, AuditedOutcome, PageStart};
use acteon_core::event_admin::{EventDetails, PastTransition};
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
    /// Identifies the event.
    pub event: EventId,
    /// Its present state. `None`: no report of it has counted, or it is forgotten.
    pub state: Option<CompactString>,
    /// What its machine keeps of it.
    pub details: Option<EventDetails>,
    /// The newest records about it, newest first. Empty without an audit trail.
    pub reports: Vec<Arc<AuditRecord>>,
    /// How many records were read to find them.
    pub examined: usize,
}

impl EventExplanation {
    /// The rule whose machine the newest counted report used.
    pub fn rule(&self) -> Option<&CompactString> {
        self.counted()?.decision.matched_rule.as_ref()
    }

    /// The silence that withholds the notice of the present state, else the one that withheld that of the newest
    /// counted report.
    pub fn silenced_by(&self) -> Option<CompactString> {
        let details = self.details.as_ref();
        let present = details.and_then(|details| details.silenced_by.clone());
        present.or_else(|| changed(&self.counted()?.outcome)?.silenced_by)
    }

    /// The newest record of a machine that names a rule. Those of timeouts and of operators' transitions name none.
    fn counted(&self) -> Option<&Arc<AuditRecord>> {
        self.reports.iter().find(|one| {
            let decision = &one.decision;
            decision.verdict == Verdict::StateMachine && decision.matched_rule.is_some()
        })
    }

    /// The last transitions, oldest first. One whose notice every provider refused was not announced.
    pub fn transitions(&self) -> Vec<PastTransition> {
        let details = self.details.as_ref();
        let mut transitions = details.map_or_else(Vec::new, |details| details.history.clone());
        for past in &mut transitions {
            let was_refused = self.was_refused(past);
            past.notified &= !was_refused;
        }
        transitions
    }

    fn was_refused(&self, past: &PastTransition) -> bool {
        let Some(report) = past.by.as_ref().filter(|_| past.cause == "report") else {
            return false;
        };
        let mut reports = self.reports.iter();
        let is_refused = reports
            .find(|one| one.subject.action_id == *report)
            .is_some_and(|one| has_failed(one));
        // A later report of the state may have given the notice again.
        let reports = self.reports.iter();
        let mut newer = reports.take_while(|one| one.subject.action_id != *report);
        let is_announced = |one: &Arc<AuditRecord>| {
            let change = changed(&one.outcome);
            change.and_then(|change| change.announced).as_ref() == Some(&past.to)
        };
        is_refused && !newer.any(is_announced)
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
    /// Explains an event by its record and by the newest records of its type in the audit trail. One that is not in the
    /// state is explained by the records that name its fingerprint.
    ///
    /// # Errors
    /// There is neither such an event nor such a record inside the scope, or a backend cannot be reached.
    pub async fn explain(
        &self,
        access: &Access,
        event: &EventId,
    ) -> Result<EventExplanation, AdminError> {
        let stored = match self.event(access, event).await {
            Ok(stored) => Some(stored),
            Err(AdminError::EventNotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let about = RecordsAbout {
            event,
            stored: stored.as_deref(),
        };
        let found = match self.find_reports(access, &about).await {
            Ok(found) => found,
            Err(AdminError::AuditDisabled) => FoundReports::default(),
            Err(error) => return Err(error),
        };
        if stored.is_none() && found.reports.is_empty() {
            return Err(AdminError::EventNotFound(event.fingerprint.clone()));
        }
        Ok(EventExplanation {
            event: event.clone(),
            state: stored.as_ref().map(|stored| stored.record.state.clone()),
            details: stored.map(|stored| self.event_details(&stored)),
            reports: found.reports,
            examined: found.examined,
        })
    }

    async fn find_reports(
        &self,
        access: &Access,
        about: &RecordsAbout<'_>,
    ) -> Result<FoundReports, AdminError> {
        let mut found = FoundReports::default();
        let mut query = about.query(access);
        while found.reports.len() < SHOWN_MAX && found.examined < READ_MAX {
            let page = self.audit(&query).await?;
            found.examined += page.records.len();
            let room = SHOWN_MAX - found.reports.len();
            let records = page.records.into_iter();
            let matching = records.filter(|one| about.includes(one));
            found.reports.extend(matching.take(room));
            match page.next {
                Some(next) => query.start = PageStart::After(next),
                None => break,
            }
        }
        Ok(found)
    }
}

#[derive(Default)]
struct FoundReports {
    reports: Vec<Arc<AuditRecord>>,
    examined: usize,
}

/// Selects the records about an event.
struct RecordsAbout<'a> {
    event: &'a EventId,
    /// `None`: the state does not have it.
    stored: Option<&'a StoredEvent>,
}

impl RecordsAbout<'_> {
    /// The records among which they are.
    fn query(&self, access: &Access) -> AuditQuery {
        AuditQuery {
            scope: access.scope.clone(),
            filter: AuditFilter {
                namespace: Some(self.event.namespace.clone()),
                tenant: Some(self.event.tenant.clone()),
                action_type: self.stored.map(|stored| stored.record.event_type.clone()),
                ..AuditFilter::default()
            },
            start: PageStart::Offset(0),
            limit: PAGE,
        }
    }

    /// True for a record that names the fingerprint, or, where a rule or a group came before the machine, has the
    /// labels of the event.
    fn includes(&self, record: &AuditRecord) -> bool {
        let fingerprint = &self.event.fingerprint;
        match changed(&record.outcome) {
            Some(changed) => changed.fingerprint == *fingerprint,
            None => match record.metadata.get("__fingerprint") {
                Some(own) => own == fingerprint,
                None => self.stored.is_some_and(|stored| has_labels(record, stored)),
            },
        }
    }
}

/// True for the record of an action that no provider accepted.
fn has_failed(record: &AuditRecord) -> bool {
    let mut attempts = record.attempts.iter();
    matches!(record.outcome.name(), "failed" | "circuit_open")
        && attempts.all(|attempt| attempt.code.is_some())
}

/// What a record says of the change of an event.
struct RecordedChange {
    fingerprint: CompactString,
    /// The state of which a provider has the notice.
    announced: Option<CompactString>,
    silenced_by: Option<CompactString>,
}

/// The change of an event that a record is about.
fn changed(outcome: &AuditedOutcome) -> Option<RecordedChange> {
    match outcome {
        AuditedOutcome::StateChanged {
            fingerprint,
            new_state,
            notify,
            silenced_by,
            ..
        } => Some(RecordedChange {
            fingerprint: fingerprint.clone(),
            announced: notify.then(|| new_state.clone()),
            silenced_by: silenced_by.clone(),
        }),
        AuditedOutcome::Other(name, details) if name == "state_changed" => {
            let details: Value = serde_json::from_str(details.get()).ok()?;
            Some(RecordedChange {
                fingerprint: details["fingerprint"].as_str()?.into(),
                announced: details["new_state"]
                    .as_str()
                    .filter(|_| details["notify"] == true)
                    .map(Into::into),
                silenced_by: details["silenced_by"].as_str().map(Into::into),
            })
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
