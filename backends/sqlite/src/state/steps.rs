//! The step of a reservation: checked before anything is taken, and done before the rest, because it may find no room.

use acteon_core::state::StepAnswer;

use super::call::StateCall;
use super::events::{CheckedWrite, FollowsWrite, PendingWrite};
use super::keys::{HashedAppend, HashedRequest, HashedStep, HashedWrite, KeyHash};
use super::reserve::Reserved;
use crate::error::Error;

/// A step that was checked.
pub(super) enum PendingStep<'r> {
    None,
    Append(&'r HashedAppend),
    Write(&'r HashedWrite, PendingWrite),
    /// This hold has written the event before.
    Made(&'r HashedWrite),
}

impl PendingStep<'_> {
    /// How many keys it adds, if any.
    pub(super) fn rows(&self) -> i64 {
        match self {
            Self::Write(_, pending) => pending.rows.max(0),
            _ => 0,
        }
    }
}

impl StateCall<'_> {
    /// What a step has to do, or the answer if its event has another version.
    pub(super) fn check_step<'r>(
        &self,
        request: &'r HashedRequest,
        follows: FollowsWrite,
    ) -> Result<Result<PendingStep<'r>, Reserved>, Error> {
        let write = match &request.step {
            None => return Ok(Ok(PendingStep::None)),
            Some(HashedStep::Append(append)) => return Ok(Ok(PendingStep::Append(append))),
            Some(HashedStep::Write(write)) => write,
        };
        let check = self.check_write(write, request.hold.token, follows)?;
        Ok(match check {
            CheckedWrite::Expected(pending) => Ok(PendingStep::Write(write, pending)),
            CheckedWrite::Made => Ok(PendingStep::Made(write)),
            CheckedWrite::Conflict(present) => Err(Reserved::Conflict(present)),
        })
    }

    /// Does a step. `None` if there is no room for it; then nothing has changed.
    pub(super) fn take_step(
        &mut self,
        step: PendingStep<'_>,
        token: KeyHash,
    ) -> Result<Option<Option<StepAnswer>>, Error> {
        let write = match step {
            PendingStep::None => return Ok(Some(None)),
            PendingStep::Append(append) => {
                let joined = self.append(append)?;
                return Ok(joined.map(|joined| Some(StepAnswer::Appended(joined))));
            }
            PendingStep::Made(write) => write,
            PendingStep::Write(write, pending) => {
                if pending.rows > 0 && !self.has_room_for_counts(pending.rows)? {
                    return Ok(None);
                }
                self.write_event(write, token, &pending)?;
                write
            }
        };
        let version = write.next_version();
        Ok(Some(Some(StepAnswer::Written { version })))
    }
}
