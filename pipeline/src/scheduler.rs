//! The task that does what falls due. It sleeps until the nearest due time it knows, and is woken by earlier ones. What
//! is done with a due group is left to `groups/flush.rs`.

use std::time::Duration;

use acteon_core::StateError;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::events;
use crate::process::Pipeline;

/// How often a shared backend is asked, in which other instances may have left something to do.
const SHARED_WAIT: Duration = Duration::from_secs(1);
/// How soon a failed call to the state is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// Wakes the task.
#[derive(Default)]
pub(crate) struct Scheduler {
    /// The nearest due time that the task knows, by the backend's clock; `None` if nothing waits.
    next: Mutex<Option<Timestamp>>,
    changed: Notify,
}

impl Scheduler {
    /// Something falls due at this time, by the backend's clock.
    pub(crate) fn wake_at(&self, due_at: Timestamp) {
        let mut next = self.next.lock();
        if next.is_none_or(|next| due_at < next) {
            *next = Some(due_at);
            self.changed.notify_one();
        }
    }

    /// Something has ended.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }
}

impl Pipeline {
    /// Does what falls due. Sleeps while nothing waits and no other instance shares the state. Never returns.
    pub(crate) async fn schedule(&self) {
        loop {
            let wait = match self.do_due_work().await {
                Ok(wait) => wait,
                Err(error) => {
                    events::due_work_failed(&error);
                    Some(AGAIN)
                }
            };
            tokio::select! {
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = self.scheduler.changed.notified() => {}
            }
        }
    }

    /// Does everything that is due now. Returns how long to sleep; `None`: until something wakes the task.
    async fn do_due_work(&self) -> Result<Option<Duration>, StateError> {
        self.finish_flushes().await?;
        self.renew_flushes().await?;
        let now = loop {
            let slice = self.flush_due().await?;
            self.finish_flushes().await?;
            if !slice.more {
                break slice.now;
            }
        };
        *self.scheduler.next.lock() = None;
        let state = &self.parts.state;
        let due_in = state.next_due().await?;
        if let Some(due_in) = due_in {
            let due_in = SignedDuration::try_from(due_in).unwrap_or(SignedDuration::MAX);
            let due_at = now.saturating_add(due_in).unwrap_or(Timestamp::MAX);
            let mut next = self.scheduler.next.lock();
            *next = Some(next.map_or(due_at, |woken| woken.min(due_at)));
        }
        let shared = state.capabilities().shared.then_some(SHARED_WAIT);
        let renewal = self.flushes.renewal_in(self.parts.options.lease);
        Ok([due_in, shared, renewal].into_iter().flatten().min())
    }
}
