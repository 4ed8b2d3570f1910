//! The flushes that are running: the source of their summaries. A summary is on loan from here; its end decides whether
//! the group is closed or falls due again.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::delivery::Origin;
use acteon_core::state::{GroupEnd, GroupFinish, HeldGroup};
use acteon_core::{Settled, StateError};
use acteon_groups::FlushNote;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::events;
use crate::process::Pipeline;
use crate::running::Running;
use crate::scheduler::Scheduler;

/// The running flushes.
pub(crate) struct Flushes(Running<FlushStart, FlushEnd>);

/// A flush whose members are known.
pub(super) struct FlushStart {
    pub(super) held: HeldGroup,
    pub(super) note: FlushNote,
    /// The operator who waits for the end.
    pub(super) waiting: Option<oneshot::Sender<bool>>,
}

/// How a flush has ended.
struct FlushEnd {
    end: GroupEnd,
    was_delivered: bool,
}

impl Flushes {
    pub(crate) fn new(scheduler: Arc<Scheduler>) -> Self {
        Self(Running::new(scheduler))
    }

    /// Begins a flush. Returns the token of its summary.
    pub(super) fn begin(&self, start: FlushStart) -> u64 {
        self.0.begin(start)
    }

    /// Ends a flush without a summary.
    pub(super) fn end(&self, start: FlushStart, end: GroupEnd) {
        let token = self.begin(start);
        self.0.end(token, |_| FlushEnd {
            end,
            was_delivered: false,
        });
    }

    /// After which time the oldest hold must be renewed; `None` if no flush is running.
    pub(crate) fn renewal_in(&self, lease: Duration) -> Option<Duration> {
        self.0.renewal_in(lease)
    }

    /// The flushes that have ended, with their tokens.
    fn finished(&self) -> (Vec<u64>, Vec<GroupFinish>) {
        self.0.ended(|start, ended| GroupFinish {
            held: start.held.clone(),
            end: ended.end.clone(),
        })
    }

    fn forget(&self, tokens: &[u64]) {
        for (start, ended) in self.0.forget(tokens) {
            let Some(ended) = ended else {
                continue;
            };
            events::flushed(&ended.end);
            if let Some(waiting) = start.waiting {
                // Fails if the operator hung up.
                let _ = waiting.send(ended.was_delivered);
            }
        }
    }
}

impl Origin for Flushes {
    fn settled(&self, token: u64, settled: Settled) {
        self.0.end(token, |start| end_of(settled, &mut start.note));
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
    /// Tells the state how flushes have ended. They stay here until it answers. False if none has ended.
    pub(crate) async fn finish_flushes(&self) -> Result<bool, StateError> {
        let (tokens, finished) = self.flushes.finished();
        if finished.is_empty() {
            return Ok(false);
        }
        let kept = self.parts.state.finish_groups(&finished).await?;
        events::flushes_lost(kept.iter().filter(|kept| !**kept).count());
        self.flushes.forget(&tokens);
        Ok(true)
    }

    /// Renews the holds of running flushes that are at least a sixth of a lease old.
    pub(crate) async fn renew_flushes(&self) -> Result<(), StateError> {
        let lease = self.parts.options.lease;
        let began = Instant::now();
        let (tokens, held) = self.flushes.0.to_renew(lease, |start| start.held.clone());
        if held.is_empty() {
            return Ok(());
        }
        let kept = self.parts.state.renew_groups(&held, lease).await?;
        events::flushes_lost(kept.iter().filter(|kept| !**kept).count());
        self.flushes.0.renewed(&tokens, began);
        Ok(())
    }
}
