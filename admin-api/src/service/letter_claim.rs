//! Claims a dead letter while it is replayed, so that one replay at a time delivers it, on all nodes that share the
//! state.

use std::convert::Infallible;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::Refusal;
use acteon_core::state::{
    Claim, Reservation, ReservationAnswer, ReservationEnd, Settlement, State, StateError, StateKey,
    Token,
};
use tokio::time::sleep;

use super::AdminError;
use super::changes::REPLAY_LETTER;
use crate::events;

/// How long a claim outlives a process that dies during a replay.
const LEASE: Duration = Duration::from_secs(60);
const RENEW_INTERVAL: Duration = Duration::from_secs(20);
/// How long a delivery is remembered if its letter could not be deleted.
const DELIVERED_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a client waits before it retries a replay for which the state had no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The only right to replay one dead letter, until [`LetterClaim::end`].
pub(super) struct LetterClaim {
    state: Arc<dyn State>,
    held: Arc<Reservation>,
}

impl LetterClaim {
    /// Claims the letter with this id. Returns `None` if it was delivered before but could not be deleted.
    ///
    /// # Errors
    /// Another replay holds the claim, or the state backend cannot be reached or is full.
    pub(super) async fn take(
        state: &Arc<dyn State>,
        letter: &str,
    ) -> Result<Option<Self>, AdminError> {
        let claim = Claim {
            // Actions and rules have keys of a namespace that is not empty.
            key: StateKey::new("", "", REPLAY_LETTER, letter),
            ttl: DELIVERED_TTL,
        };
        let reservation = Arc::new(Reservation {
            token: Token::random(),
            claims: [claim].into(),
            ..Reservation::default()
        });
        let claim = Self {
            state: state.clone(),
            held: reservation,
        };
        let answers = match state.reserve(slice::from_ref(&*claim.held), LEASE).await {
            Ok(answers) => answers,
            Err(error) => {
                // It may have been granted in an answer that was lost.
                claim.end(ReservationEnd::Release).await;
                return Err(error.into());
            }
        };
        match answers.into_iter().next() {
            Some(ReservationAnswer::Granted(_)) => Ok(Some(claim)),
            Some(ReservationAnswer::Duplicate { .. }) => Ok(None),
            Some(ReservationAnswer::Busy(_)) => Err(AdminError::ReplayInProgress(letter.into())),
            Some(ReservationAnswer::Full) => Err(AdminError::Refused {
                refusal: Refusal::StateFull,
                after: RETRY_AFTER,
            }),
            // A claim alone has neither an outcome to remember, nor a quota, nor a step.
            Some(
                ReservationAnswer::Remembered(_)
                | ReservationAnswer::Throttled { .. }
                | ReservationAnswer::Conflict(_),
            )
            | None => Err(AdminError::Aborted),
        }
    }

    /// Waits for `replay` and renews the claim meanwhile.
    pub(super) async fn hold_during<T>(&self, replay: impl Future<Output = T>) -> T {
        tokio::select! {
            result = replay => result,
            never = self.renew() => match never {},
        }
    }

    /// A claim that was lost cannot be taken back, and its delivery cannot be stopped, so that is no reason to end.
    async fn renew(&self) -> Infallible {
        loop {
            sleep(RENEW_INTERVAL).await;
            let renewed = self.state.renew(slice::from_ref(&self.held), LEASE).await;
            if let Err(error) = renewed {
                unavailable(&error);
            }
        }
    }

    /// Ends the claim. [`ReservationEnd::Confirm`] prevents another delivery of a letter that was delivered but not deleted.
    pub(super) async fn end(self, end: ReservationEnd) {
        let settlement = Settlement::of(self.held, end);
        if let Err(error) = self.state.settle(slice::from_ref(&settlement)).await {
            unavailable(&error);
        }
    }
}

fn unavailable(error: &StateError) {
    events::backend_unavailable("state", error);
}
