//! Events for tests, and how to bring them into a state.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::state::{
    Answer, EventId, EventPhase, EventRecord, EventValue, EventWrite, Question, Reservation,
    ReservationAnswer, State, StateError, Step, Token,
};
use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;

/// An event whose values have names that do not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Event {
    pub namespace: CompactString,
    pub tenant: CompactString,
    pub fingerprint: CompactString,
    pub event_type: CompactString,
    pub state: CompactString,
    pub phase: EventPhase,
    /// May contain duplicates.
    pub values: Vec<CompactString>,
}

impl Event {
    /// Its id.
    pub fn id(&self) -> EventId {
        EventId {
            namespace: self.namespace.clone(),
            tenant: self.tenant.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// A write that expects this version. The values are named `label 0`, `label 1` and so on.
    pub fn write(&self, expected: u64) -> EventWrite {
        let named = |(at, value): (usize, &CompactString)| EventValue {
            name: format_compact!("label {at}"),
            value: value.clone(),
        };
        EventWrite {
            event: self.id(),
            expected,
            record: EventRecord {
                event_type: self.event_type.clone(),
                state: self.state.clone(),
                phase: self.phase,
                values: self.values.iter().enumerate().map(named).collect(),
                ended: None,
                updated_at: Timestamp::UNIX_EPOCH,
                body: Bytes::from_static(b"body"),
            },
            due_in: None,
        }
    }
}

/// A reservation of nothing but this write, under a new token.
pub fn reserving(write: EventWrite) -> Reservation {
    Reservation {
        token: Token::random(),
        step: Some(Step::Write(write.into())),
        ..Reservation::default()
    }
}

/// Writes events one after the other, whatever they were before.
///
/// # Errors
/// If the state does not answer, or is full.
pub async fn write_events(state: &dyn State, events: &[Event]) -> Result<(), StateError> {
    let mut todo: Vec<&Event> = events.iter().collect();
    while !todo.is_empty() {
        let mut versions = versions(state, &todo).await?;
        let write = |event: &&Event| {
            let version = versions.entry(event.id()).or_default();
            *version += 1;
            reserving(event.write(*version - 1))
        };
        let reservations: Vec<_> = todo.iter().map(write).collect();
        let answers = state.reserve(&reservations, Duration::from_secs(1)).await?;
        let mut refused = Vec::new();
        for (event, answer) in todo.into_iter().zip(answers) {
            match answer {
                ReservationAnswer::Granted(_) => {}
                ReservationAnswer::Conflict(_) => refused.push(event),
                other => return Err(StateError::Unavailable(format!("{other:?}").into())),
            }
        }
        todo = refused;
    }
    Ok(())
}

async fn versions(
    state: &dyn State,
    events: &[&Event],
) -> Result<BTreeMap<EventId, u64>, StateError> {
    let questions = events.iter().map(|event| Question::Event(event.id().key()));
    let gathered = state.gather(&questions.collect::<Vec<_>>()).await?;
    let version = |answer: Answer| match answer {
        Answer::Event(Some(stored)) => stored.version,
        _ => 0,
    };
    let ids = events.iter().map(|event| event.id());
    Ok(ids.zip(gathered.answers.into_iter().map(version)).collect())
}
