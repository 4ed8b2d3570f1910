//! Watches how full the state backend is, for the metrics and the log. A full backend makes sources wait.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::Fullness;
use acteon_core::{DeadLetterKind, State};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::events;

const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The time limit for an answer of the backend.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Pings the backend until `closing`. Readiness reports a backend that does not answer.
pub(crate) async fn watch(state: Arc<dyn State>, closing: CancellationToken) {
    let mut ticks = interval(PING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Fullness::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        if let Ok(Ok(fullness)) = timeout(PING_TIMEOUT, state.ping()).await {
            report_changes(&before, &fullness);
            before = fullness;
        }
    }
}

fn report_changes(before: &Fullness, now: &Fullness) {
    for (before, now) in [(&before.keys, &now.keys), (&before.groups, &now.groups)] {
        match &now.full {
            Some(full) if before.full.is_none() => events::state_full(full),
            None if before.full.is_some() => events::state_has_room(),
            Some(_) | None => {}
        }
    }
    for kind in DeadLetterKind::ALL {
        let level = now.of(kind);
        let was_full = before.of(kind).full.is_some();
        events::dead_letters_kept(kind, level);
        match &level.full {
            Some(full) if !was_full => events::dead_letters_full(kind, full),
            None if was_full => events::dead_letters_have_room(kind),
            Some(_) | None => {}
        }
    }
}
