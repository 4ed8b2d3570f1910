//! The port to what operators see and do of events beyond the record in the state: the machine's own record, and
//! transitions by hand.

use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use thiserror::Error;

use crate::delivery::Caller;
use crate::scope::Scope;
use crate::state::{EventId, StateError, StoredEvent};

/// Where the notices of timeouts come from.
pub const TIMEOUTS_SOURCE: &str = "timeouts";
/// Where the notices of operators' transitions come from.
pub const OPERATORS_SOURCE: &str = "admin";

/// True for the source of notices that no report carries. Rules do not see these notices.
pub fn is_notice_source(source: &str) -> bool {
    matches!(source, TIMEOUTS_SOURCE | OPERATORS_SOURCE)
}

/// Reads and moves events by their state machines.
#[async_trait]
pub trait EventAdmin: Send + Sync {
    /// The record of the event's machine.
    fn details(&self, stored: &StoredEvent) -> EventDetails;

    /// Makes a transition that the event's machine allows, and delivers its notice.
    ///
    /// # Errors
    /// See [`TransitionError`].
    async fn transition(
        &self,
        scope: &Scope,
        asked: &TransitionRequest,
        caller: Caller,
    ) -> Result<EventTransition, TransitionError>;
}

/// What a machine keeps of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDetails {
    /// The name of the machine.
    pub state_machine: CompactString,
    /// When it entered its state.
    pub entered_at: Timestamp,
    /// When it was last reported.
    pub last_report_at: Timestamp,
    /// When it began, if a report said so.
    pub starts_at: Option<Timestamp>,
    /// When its next timeout is due.
    pub next_timer: Option<Timestamp>,
    /// The silence that withholds the notice of the present state.
    pub silenced_by: Option<CompactString>,
    /// The last transitions, oldest first.
    pub history: Vec<PastTransition>,
}

/// A transition in the history of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastTransition {
    /// When it happened.
    pub at: Timestamp,
    /// The state it left.
    pub from: CompactString,
    /// The state it entered.
    pub to: CompactString,
    /// Who made it: `report`, `timeout`, `staleness` or `operator`.
    pub cause: &'static str,
    /// The id of the report, or the operator.
    pub by: Option<CompactString>,
    /// The operator's remark.
    pub note: Option<CompactString>,
    /// Whether it had a notice.
    pub notified: bool,
    /// The silence that withheld its notice, at least at first.
    pub silenced_by: Option<CompactString>,
}

/// A transition that an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRequest {
    /// The event.
    pub event: EventId,
    /// The state to enter.
    pub to: CompactString,
    /// The state that the operator believes the event is in.
    pub from: Option<CompactString>,
    /// The operator.
    pub by: CompactString,
    /// A remark for the history.
    pub note: Option<CompactString>,
}

/// A transition that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTransition {
    /// The state before.
    pub previous_state: CompactString,
    /// The state now.
    pub new_state: CompactString,
    /// Whether it has a notice.
    pub notify: bool,
    /// The event after it.
    pub stored: Arc<StoredEvent>,
}

/// Why a transition was not made.
#[derive(Debug, Error)]
pub enum TransitionError {
    /// There is no such event in the scope.
    #[error("there is no such event")]
    NotFound,
    /// The machine does not allow it, or the event is in another state than the operator believes.
    #[error("{0}")]
    Refused(String),
    /// The state did not answer, or is full.
    #[error(transparent)]
    State(#[from] StateError),
}
