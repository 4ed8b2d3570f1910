//! An event as the state stores it: what finds it, and a body that only its state machine reads. How events are listed
//! is in `events.rs`, what becomes due in `timers.rs`.

use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;

use super::StateKey;

/// The longest grace of a question about active events.
pub const GRACE_MAX: Duration = Duration::from_secs(3600);

/// Identifies an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// The event's namespace.
    pub namespace: CompactString,
    /// The event's tenant.
    pub tenant: CompactString,
    /// Distinguishes the event from others of its namespace and tenant.
    pub fingerprint: CompactString,
}

impl EventId {
    /// Its name in the state.
    pub fn key(&self) -> StateKey {
        StateKey::new(&self.namespace, &self.tenant, "", &self.fingerprint)
    }
}

/// What a backend keeps of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The type of the actions that report the event.
    pub event_type: CompactString,
    /// The current state.
    pub state: CompactString,
    /// Whether the event is active, or how long to keep it once it has ended.
    pub phase: EventPhase,
    /// Its labels and fingerprint fields. While it is active, it is found by each of them.
    pub values: Vec<EventValue>,
    /// Its last end, if it has ended.
    pub ended: Option<EventEnd>,
    /// When it was last written. Orders listings.
    pub updated_at: Timestamp,
    /// The record of its state machine. Backends do not read it.
    pub body: Bytes,
}

impl EventRecord {
    /// Its name for its type in the state.
    pub fn type_key(&self, id: &EventId) -> StateKey {
        StateKey::new(&id.namespace, &id.tenant, "", &self.event_type)
    }

    /// Its state; for `grace` after its end, the one in which it was last active.
    pub fn state_at(&self, now: Timestamp, grace: Duration) -> &CompactString {
        let is_recent = |end: &&EventEnd| {
            let passed = now.duration_since(end.at);
            Duration::try_from(passed).map_or(true, |passed| passed < grace)
        };
        let recent = self.ended.as_ref().filter(is_recent);
        recent
            .filter(|_| !grace.is_zero())
            .map_or(&self.state, |end| &end.from)
    }

    /// True if it has this label or fingerprint field with this value.
    pub fn has_value(&self, name: &str, value: &str) -> bool {
        let mut values = self.values.iter();
        values.any(|found| found.name == name && found.value == value)
    }
}

/// The end of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEnd {
    /// When it ended, by the clock of the state.
    pub at: Timestamp,
    /// The state in which it was active until then.
    pub from: CompactString,
}

/// A label or a fingerprint field of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct EventValue {
    pub name: CompactString,
    pub value: CompactString,
}

/// Whether an event is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPhase {
    /// The event continues. It is kept until it is written as ended.
    Active,
    /// The event has ended. It is forgotten after this time.
    Ended(Duration),
}

/// Writes an event if it was not written meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWrite {
    /// The event.
    pub event: EventId,
    /// The version that it must have. 0: there must be no such event. The backend gives it the next one.
    pub expected: u64,
    /// What it becomes.
    pub record: EventRecord,
    /// When its timer is due, from now by the backend's clock. `None`: it has none.
    pub due_in: Option<Duration>,
}

/// An event in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The event.
    pub event: EventId,
    /// Counts its writes, from 1.
    pub version: u64,
    /// The last one.
    pub record: EventRecord,
}

/// Asks for the state of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventStateQuestion {
    /// The key's name is the fingerprint; its owner is empty.
    pub event: StateKey,
    /// How long after its end an event still has the state in which it was last active, at most [`GRACE_MAX`].
    pub grace: Duration,
}

/// Asks whether an event of a type is active.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActiveEventQuestion {
    /// The key's name is the type; its owner is empty.
    pub event_type: StateKey,
    /// Which events of the type count.
    pub carrying: Carrying,
    /// How long after its end an event still counts, at most [`GRACE_MAX`].
    pub grace: Duration,
}

/// Which events a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carrying {
    /// All of the type.
    Anything,
    /// Events that carry this value under any name.
    Value(CompactString),
    /// Events that carry this value under this name.
    Named(EventValue),
}
