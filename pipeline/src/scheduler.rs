//! The task that does what falls due. It sleeps until the nearest due time it knows, and is woken by earlier ones. What
//! is done with a due group is left to `groups/flush.rs`, with a due event to `event_timeout.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acteon_core::StateError;
use acteon_core::state::Token;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::events;
use crate::process::Pipeline;

/// How much one call takes.
const SLICE: usize = 64;
/// How often a shared backend is asked, in which other instances may have left something to do.
const SHARED_WAIT: Duration = Duration::from_secs(1);
/// The longest wait for what is due. A clock that is set forward makes it due sooner.
const DUE_WAIT_MAX: Duration = Duration::from_secs(60);
/// How soon a failed call to the state is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// Wakes the task.
#[derive(Default)]
pub(crate) struct Scheduler {
    look: Mutex<NextLook>,
    changed: Notify,
    /// Locked while due work is begun.
    turn: tokio::sync::Mutex<()>,
    /// Nothing more is begun.
    stopped: AtomicBool,
    /// The state has heard of the end of some work.
    reported: Notify,
}

/// When the task looks for due work next.
#[derive(Default)]
struct NextLook {
    /// `None` if nothing waits.
    at: Option<Instant>,
    /// A time by the backend's clock, and when it was that time. `None` before the first look.
    clock: Option<(Timestamp, Instant)>,
}

impl NextLook {
    /// When the backend's clock shows this time.
    fn instant(&self, due_at: Timestamp) -> Instant {
        let Some((now, at)) = self.clock else {
            return Instant::now();
        };
        let wait = Duration::try_from(due_at.duration_since(now)).unwrap_or_default();
        at.checked_add(wait)
            .unwrap_or(at + Duration::from_secs(1 << 30))
    }

    fn advance(&mut self, at: Instant) -> bool {
        let is_earlier = self.at.is_none_or(|next| at < next);
        if is_earlier {
            self.at = Some(at);
        }
        is_earlier
    }
}

impl Scheduler {
    /// Something falls due at this time, by the backend's clock.
    pub(crate) fn wake_at(&self, due_at: Timestamp) {
        let mut look = self.look.lock();
        let at = look.instant(due_at);
        if look.advance(at) {
            self.changed.notify_one();
        }
    }

    /// Something falls due this long after that time.
    pub(crate) fn wake_after(&self, now: Timestamp, due_in: Option<Duration>) {
        if let Some(due_in) = due_in {
            let due_in = SignedDuration::try_from(due_in).unwrap_or(SignedDuration::MAX);
            self.wake_at(now.saturating_add(due_in).unwrap_or(Timestamp::MAX));
        }
    }

    /// Something has ended.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// The state has heard of the end of some work.
    pub(crate) fn reported(&self) {
        self.reported.notify_waiters();
    }

    /// When to look. `None` if nothing waits or nothing more is begun.
    fn next_look(&self) -> Option<Instant> {
        let at = self.look.lock().at;
        at.filter(|_| !self.is_stopped())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn is_time(&self) -> bool {
        self.next_look().is_some_and(|at| at <= Instant::now())
    }
}

impl Pipeline {
    /// Does what falls due. Sleeps while nothing waits and no other instance shares the state. Never returns.
    pub(crate) async fn schedule(self: &Arc<Self>) {
        self.scheduler.look.lock().advance(Instant::now());
        loop {
            let turn = self.scheduler.turn.lock().await;
            let done = self.do_due_work().await;
            drop(turn);
            let until = match done {
                Ok(()) => self.next_work(),
                Err(error) => {
                    events::due_work_failed(&error);
                    let again = Instant::now() + AGAIN;
                    self.scheduler.look.lock().advance(again);
                    Some(again)
                }
            };
            tokio::select! {
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                () = self.scheduler.changed.notified() => {}
            }
        }
    }

    /// When something is due next, or must be renewed.
    fn next_work(&self) -> Option<Instant> {
        let renewal = self.renewal_in().map(|wait| Instant::now() + wait);
        renewal.into_iter().chain(self.scheduler.next_look()).min()
    }

    /// After which time the oldest running work must be renewed; `None` if nothing is running.
    fn renewal_in(&self) -> Option<Duration> {
        let lease = self.parts.options.lease;
        let renewals = [
            self.flushes.renewal_in(lease),
            self.notices.renewal_in(lease),
        ];
        renewals.into_iter().flatten().min()
    }

    /// Begins no more due work, and waits until the state has heard of the end of what was begun: summaries of groups
    /// and notices of events.
    pub async fn finish_due_work(&self) {
        self.scheduler.stopped.store(true, Ordering::Release);
        drop(self.scheduler.turn.lock().await);
        loop {
            let reported = self.scheduler.reported.notified();
            if self.renewal_in().is_none() {
                return;
            }
            reported.await;
        }
    }

    /// Reports what has ended, renews what is running, and begins what is due.
    async fn do_due_work(self: &Arc<Self>) -> Result<(), StateError> {
        if self.report_ended().await? {
            // Work that was released falls due again, and so may what waited for its end.
            self.scheduler.look.lock().advance(Instant::now());
        }
        if !self.scheduler.is_time() {
            return Ok(());
        }
        // Whoever sets an earlier time from here on is heard.
        self.scheduler.look.lock().at = None;
        while !self.scheduler.is_stopped() && self.begin_due().await? {
            self.report_ended().await?;
        }
        self.report_ended().await?;
        let state = &self.parts.state;
        let due = state.next_due().await?;
        let shared = state.capabilities().shared.then_some(SHARED_WAIT);
        let due = due.map(|wait| wait.min(DUE_WAIT_MAX));
        if let Some(wait) = due.into_iter().chain(shared).min() {
            let at = Instant::now().checked_add(wait);
            let mut look = self.scheduler.look.lock();
            at.map(|at| look.advance(at));
        }
        Ok(())
    }

    /// Tells the state what has ended, and that the rest is still running. True if anything has ended.
    async fn report_ended(&self) -> Result<bool, StateError> {
        let flushes = self.finish_flushes().await?;
        self.renew_flushes().await?;
        let notices = self.report_notices().await?;
        Ok(flushes || notices)
    }

    /// Takes a slice of what is due, and begins it. False if nothing more is due.
    async fn begin_due(self: &Arc<Self>) -> Result<bool, StateError> {
        let token = Token::random();
        let lease = self.parts.options.lease;
        let due = self.parts.state.take_due(SLICE, lease, token).await?;
        self.scheduler.look.lock().clock = Some((due.now, Instant::now()));
        let more = due.len() == SLICE;
        let timed_out = self.time_out(due.events, due.now).await;
        self.flush_taken(due.groups, token, due.now).await?;
        timed_out.map(|()| more)
    }
}
