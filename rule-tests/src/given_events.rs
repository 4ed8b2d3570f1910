//! Brings the events of a setup into the state, whatever they were before.

use std::time::Duration;

use acteon_core::state::{
    Answer, EventEnd, EventId, EventPhase, EventRecord, EventWrite, Question, Reservation,
    ReservationAnswer, Step, Token,
};
use acteon_core::{State, StateError};
use jiff::Timestamp;

/// Nothing is held, so any lease will do.
const LEASE: Duration = Duration::from_secs(1);

/// Writes events one after the other, as of `now`.
pub(crate) async fn write(
    state: &dyn State,
    events: &[(EventId, EventRecord)],
    now: Timestamp,
) -> Result<(), StateError> {
    for (event, record) in events {
        let present = state.gather(&[Question::Event(event.key())]).await?;
        let stored = match &present.answers[..] {
            [Answer::Event(Some(stored))] => Some(stored),
            _ => None,
        };
        let ended = stored.and_then(|stored| match (stored.record.phase, record.phase) {
            (EventPhase::Active, EventPhase::Ended(_)) => Some(EventEnd {
                at: now,
                from: stored.record.state.clone(),
            }),
            (_, EventPhase::Active) => None,
            (EventPhase::Ended(_), EventPhase::Ended(_)) => stored.record.ended.clone(),
        });
        let write = EventWrite {
            event: event.clone(),
            expected: stored.map_or(0, |stored| stored.version),
            record: EventRecord {
                ended,
                updated_at: now,
                ..record.clone()
            },
            due_in: None,
        };
        let reservation = Reservation {
            token: Token::random(),
            step: Some(Step::Write(write.into())),
            ..Reservation::default()
        };
        let answers = state.reserve(&[reservation], LEASE).await?;
        if !matches!(answers[..], [ReservationAnswer::Granted(_)]) {
            let refused = format!("an event was refused: {answers:?}");
            return Err(StateError::Unavailable(refused.into()));
        }
    }
    Ok(())
}
