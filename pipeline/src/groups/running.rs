//! The flushes that are running: the source of their summaries. A summary is on loan from here; its end decides whether
//! the group is closed or falls due again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use acteon_core::delivery::Origin;
use acteon_core::state::{GroupEnd, GroupFinish, HeldGroup};
use acteon_core::{Settled, StateError};
use acteon_groups::FlushNote;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::events;
use crate::process::Pipeline;
use crate::scheduler::Scheduler;

/// The running flushes by the tokens of their receipts.
pub(crate) struct Flushes {
    running: Mutex<HashMap<u64, RunningFlush>>,
    next: AtomicU64,
    scheduler: Arc<Scheduler>,
}

/// A flush whose members are known.
pub(super) struct FlushStart {
    pub(super) held: HeldGroup,
    pub(super) note: FlushNote,
    /// The operator who waits for the end.
    pub(super) waiting: Option<oneshot::Sender<bool>>,
}

/// A flush until the state answers about its end.
struct RunningFlush {
    start: FlushStart,
    /// When the group was taken or last renewed.
    since: Instant,
    end: Option<FlushEnd>,
}

/// How a flush has ended.
#[derive(Clone)]
struct FlushEnd {
    end: GroupEnd,
    was_delivered: bool,
}

impl Flushes {
    pub(crate) fn new(scheduler: Arc<Scheduler>) -> Self {
        Self {
            running: Mutex::default(),
            next: AtomicU64::new(0),
            scheduler,
        }
    }

    /// Begins a flush. Returns the token of its summary.
    pub(super) fn begin(&self, start: FlushStart) -> u64 {
        let token = self.next.fetch_add(1, Relaxed);
        let running = RunningFlush {
            start,
            since: Instant::now(),
            end: None,
        };
        self.running.lock().insert(token, running);
        token
    }

    /// Ends a flush without a summary.
    pub(super) fn end(&self, start: FlushStart, end: GroupEnd) {
        let token = self.begin(start);
        self.ended(token, |_| FlushEnd {
            end,
            was_delivered: false,
        });
    }

    /// After which time the oldest hold must be renewed; `None` if no flush is running.
    pub(crate) fn renewal_in(&self, lease: Duration) -> Option<Duration> {
        let running = self.running.lock();
        let oldest = running.values().map(|flush| flush.since).min()?;
        Some((oldest + lease / 3).saturating_duration_since(Instant::now()))
    }

    fn ended(&self, token: u64, end: impl FnOnce(&mut FlushNote) -> FlushEnd) {
        if let Some(flush) = self.running.lock().get_mut(&token) {
            flush.end = Some(end(&mut flush.start.note));
        }
        self.scheduler.wake();
    }

    /// The flushes that have ended, with their tokens.
    fn finished(&self) -> (Vec<u64>, Vec<GroupFinish>) {
        let running = self.running.lock();
        let ended = running.iter().filter_map(|(token, flush)| {
            let end = flush.end.as_ref()?.end.clone();
            let held = flush.start.held.clone();
            Some((*token, GroupFinish { held, end }))
        });
        ended.unzip()
    }

    fn forget(&self, tokens: &[u64]) {
        let mut running = self.running.lock();
        for token in tokens {
            let Some(flush) = running.remove(token) else {
                continue;
            };
            let Some(ended) = flush.end else {
                continue;
            };
            events::flushed(&ended.end);
            let was_delivered = ended.was_delivered;
            if let Some(waiting) = flush.start.waiting {
                // Fails if the operator hung up.
                let _ = waiting.send(was_delivered);
            }
        }
    }

    fn to_renew(&self, lease: Duration) -> Vec<(u64, HeldGroup)> {
        let now = Instant::now();
        let running = self.running.lock();
        let old = running
            .iter()
            .filter(|(_, flush)| flush.since + lease / 6 <= now);
        old.map(|(token, flush)| (*token, flush.start.held.clone()))
            .collect()
    }

    fn renewed(&self, tokens: impl Iterator<Item = u64>, at: Instant) {
        let mut running = self.running.lock();
        for token in tokens {
            if let Some(flush) = running.get_mut(&token) {
                flush.since = at;
            }
        }
    }
}

impl Origin for Flushes {
    fn settled(&self, token: u64, settled: Settled) {
        self.ended(token, |note| end_of(settled, note));
    }
}

/// What the end of a summary means for its group.
fn end_of(settled: Settled, note: &mut FlushNote) -> FlushEnd {
    let end = match settled {
        Settled::Done(outcome) | Settled::Remembered(outcome) | Settled::Partly { outcome, .. } => {
            return FlushEnd {
                end: GroupEnd::Notified,
                was_delivered: outcome.is_delivered(),
            };
        }
        Settled::DeadLettered(_) => GroupEnd::Failed,
        Settled::Retry { after, .. } => released(after, note),
        Settled::Later {
            envelope, after, ..
        } => {
            note.history = envelope.history;
            released(after, note)
        }
    };
    FlushEnd {
        end,
        was_delivered: false,
    }
}

/// The group falls due again.
pub(super) fn released(after: Duration, note: &FlushNote) -> GroupEnd {
    let note = note.encode().into();
    GroupEnd::Release { after, note }
}

impl Pipeline {
    /// Tells the state how flushes have ended. They stay here until it answers.
    pub(crate) async fn finish_flushes(&self) -> Result<(), StateError> {
        let (tokens, finished) = self.flushes.finished();
        if finished.is_empty() {
            return Ok(());
        }
        let kept = self.parts.state.finish_groups(&finished).await?;
        events::flushes_lost(kept.iter().filter(|kept| !**kept).count());
        self.flushes.forget(&tokens);
        Ok(())
    }

    /// Renews the holds of running flushes that are at least a sixth of a lease old.
    pub(crate) async fn renew_flushes(&self) -> Result<(), StateError> {
        let lease = self.parts.options.lease;
        let began = Instant::now();
        let old = self.flushes.to_renew(lease);
        if old.is_empty() {
            return Ok(());
        }
        let (tokens, held): (Vec<_>, Vec<_>) = old.into_iter().unzip();
        let kept = self.parts.state.renew_groups(&held, lease).await?;
        events::flushes_lost(kept.iter().filter(|kept| !**kept).count());
        self.flushes.renewed(tokens.into_iter(), began);
        Ok(())
    }
}
