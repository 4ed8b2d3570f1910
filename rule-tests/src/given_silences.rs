//! Brings the silences of a setup into the state, whatever they were before.

use acteon_core::scope::Scope;
use acteon_core::silence::Silence;
use acteon_core::state::{SilenceAnswer, SilenceWrite};
use acteon_core::{State, StateError};
use jiff::{SignedDuration, Timestamp};

use crate::case::GivenSilence;

/// Writes silences one after the other. Each begins at `now`; one that is there already gets another end.
pub(crate) async fn write(
    state: &dyn State,
    silences: &[GivenSilence],
    now: Timestamp,
) -> Result<(), StateError> {
    for given in silences {
        let stored = state.silence(&Scope::everything(), &given.id).await?;
        let lasts = SignedDuration::try_from(given.lasts).unwrap_or(SignedDuration::MAX);
        let write = SilenceWrite {
            silence: Silence {
                id: given.id.clone(),
                namespace: given.namespace.clone(),
                tenant: given.tenant.clone(),
                matchers: given.matchers.clone(),
                starts_at: stored
                    .as_ref()
                    .map_or(now, |stored| stored.silence.starts_at),
                ends_at: now.saturating_add(lasts).unwrap_or(Timestamp::MAX),
                comment: "".into(),
                created_by: "test".into(),
                created_at: now,
                updated_at: now,
                is_finished: false,
            },
            expected: stored.map_or(0, |stored| stored.version),
            live_max: usize::MAX,
        };
        let answer = state.write_silence(&write).await?;
        if !matches!(answer, SilenceAnswer::Written(_)) {
            let refused = format!("a silence was refused: {answer:?}");
            return Err(StateError::Unavailable(refused.into()));
        }
    }
    Ok(())
}
