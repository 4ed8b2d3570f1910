//! Brings the events of a setup into the state, whatever they were before.

use std::time::Duration;

use acteon_core::state::{
    Answer, EventId, EventRecord, EventWrite, Question, Reservation, ReservationAnswer, Step, Token,
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
        let expected = match &present.answers[..] {
            [Answer::Event(Some(stored))] => stored.version,
            _ => 0,
        };
        let write = EventWrite {
            event: event.clone(),
            expected,
            record: EventRecord {
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
