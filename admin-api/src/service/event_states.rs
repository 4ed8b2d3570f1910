//! Events: pages of them, one with its history, and transitions by hand. The pipeline records a transition, with its
//! caller, like any other of the event.

use std::sync::Arc;

use acteon_core::event_admin::{EventDetails, EventTransition, TransitionError, TransitionRequest};
use acteon_core::state::{EventId, EventPage, EventQuery, StoredEvent};

use super::{Access, AdminApi, AdminError};

/// The most events on one page.
pub const EVENT_LIMIT_MAX: usize = 1000;
/// The longest note of a transition, in bytes.
pub const NOTE_BYTES_MAX: usize = 1024;

impl AdminApi {
    /// The events that match the query, the last one written first.
    ///
    /// # Errors
    /// The state backend cannot be reached.
    pub async fn events(&self, query: &EventQuery) -> Result<EventPage, AdminError> {
        Ok(self.ports.state.events(query).await?)
    }

    /// One event.
    ///
    /// # Errors
    /// There is no such event inside the scope, or the state backend cannot be reached.
    pub async fn event(
        &self,
        access: &Access,
        event: &EventId,
    ) -> Result<Arc<StoredEvent>, AdminError> {
        let stored = self.ports.state.event(&access.scope, event).await?;
        stored.ok_or_else(|| AdminError::EventNotFound(event.fingerprint.clone()))
    }

    /// What the machine of an event keeps of it.
    pub fn event_details(&self, stored: &StoredEvent) -> EventDetails {
        self.ports.events.details(stored)
    }

    /// Makes a transition that the event's machine allows. It is finished and recorded even if the caller hangs up.
    ///
    /// # Errors
    /// There is no such event inside the scope, its machine does not allow the transition, or the state backend cannot
    /// be reached.
    pub async fn transition(
        &self,
        access: &Access,
        asked: TransitionRequest,
    ) -> Result<EventTransition, AdminError> {
        let events = self.ports.events.clone();
        let access = access.clone();
        let work = async move {
            let made = events.transition(&access.scope, &asked, access.caller);
            made.await.map_err(|error| match error {
                TransitionError::NotFound => AdminError::EventNotFound(asked.event.fingerprint),
                TransitionError::Refused(message) => AdminError::InvalidTransition(message),
                TransitionError::State(error) => AdminError::State(error),
            })
        };
        let task = self.changes.spawn(work);
        task.await.unwrap_or(Err(AdminError::Aborted))
    }
}
