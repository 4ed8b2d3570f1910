//! How full the state backend is, asked now and then for the metrics and the log: what fills up makes sources wait.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::Fullness;
use acteon_core::{DeadLetterKind, State};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::events;

const ASKED_EVERY: Duration = Duration::from_secs(10);
/// How long the backend may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Asks until `closing`. A backend that does not answer is what readiness tells of.
pub(crate) async fn watch(state: Arc<dyn State>, closing: CancellationToken) {
    let mut ticks = interval(ASKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Fullness::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        if let Ok(Ok(fullness)) = timeout(PATIENCE, state.ping()).await {
            tell(&before, &fullness);
            before = fullness;
        }
    }
}

fn tell(before: &Fullness, now: &Fullness) {
    for kind in DeadLetterKind::ALL {
        let (level, was_full) = (now.of(kind), before.of(kind).full.is_some());
        events::dead_letters_kept(kind, level);
        match &level.full {
            Some(full) if !was_full => events::dead_letters_full(kind, full),
            None if was_full => events::dead_letters_have_room(kind),
            Some(_) | None => {}
        }
    }
}
