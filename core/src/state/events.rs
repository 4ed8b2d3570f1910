//! Lists events and finds one. They are written by the step of a reservation, and read for rules by a question.

use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;

use super::{EventId, EventRecord, EventValue, StateError, StoredEvent};
use crate::scope::Scope;

/// Events, as operators see them.
#[async_trait]
pub trait Events: Send + Sync {
    /// Lists the events inside the query's scope, most recently written first; by id where the times are equal.
    /// - Pages follow each other without gaps or repetitions while nothing is written. Clause:
    ///   `events_are_listed_page_by_page_newest_first`.
    /// - Only events that match the whole filter are listed. Clause: `events_are_filtered_by_type_state_and_values`.
    /// - An event that ended is listed until its retention has passed. Clause:
    ///   `an_ended_event_is_listed_until_its_retention_has_passed`.
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StateError>;

    /// Returns one event, if it is inside the scope. Clause: `no_caller_sees_an_event_outside_their_scope`.
    async fn event(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StateError>;
}

/// Selects the events to list.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// The scope of the caller.
    pub scope: Scope,
    /// What must hold of them.
    pub filter: EventFilter,
    /// Continues after this position: the [`EventPage::next`] of the previous page.
    pub after: Option<EventCursor>,
    /// The maximum page length.
    pub limit: usize,
}

/// What must hold of listed events. An empty filter lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct EventFilter {
    pub namespace: Option<CompactString>,
    pub tenant: Option<CompactString>,
    pub event_type: Option<CompactString>,
    pub state: Option<CompactString>,
    /// All of them.
    pub values: Vec<EventValue>,
}

impl EventFilter {
    /// True if all of it holds of an event.
    pub fn accepts(&self, id: &EventId, record: &EventRecord) -> bool {
        let is = |wanted: &Option<CompactString>, found: &CompactString| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.namespace, &id.namespace)
            && is(&self.tenant, &id.tenant)
            && is(&self.event_type, &record.event_type)
            && is(&self.state, &record.state)
            && (self.values.iter()).all(|value| record.has_value(&value.name, &value.value))
    }
}

/// A position in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct EventCursor {
    pub updated_at: Timestamp,
    pub event: EventId,
}

impl From<&StoredEvent> for EventCursor {
    fn from(stored: &StoredEvent) -> Self {
        Self {
            updated_at: stored.record.updated_at,
            event: stored.event.clone(),
        }
    }
}

/// One page of events.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// Most recently written first.
    pub events: Vec<Arc<StoredEvent>>,
    /// The position of the last one, if there are more.
    pub next: Option<EventCursor>,
}
