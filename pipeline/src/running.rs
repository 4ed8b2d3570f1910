//! Work that was taken because it was due, from its beginning until the state has heard of its end. What the work is, is
//! left to `groups/running.rs` and `event_delivery.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::scheduler::Scheduler;

/// Running work by the tokens of its receipts. `S` is known from the beginning, `E` from the end on.
pub(crate) struct Running<S, E> {
    work: Mutex<HashMap<u64, RunningWork<S, E>>>,
    next: AtomicU64,
    scheduler: Arc<Scheduler>,
}

struct RunningWork<S, E> {
    start: S,
    /// When it was taken or last renewed.
    since: Instant,
    end: Option<E>,
}

impl<S, E> Running<S, E> {
    pub(crate) fn new(scheduler: Arc<Scheduler>) -> Self {
        Self {
            work: Mutex::default(),
            next: AtomicU64::new(0),
            scheduler,
        }
    }

    /// Begins work. Returns its token.
    pub(crate) fn begin(&self, start: S) -> u64 {
        let token = self.next.fetch_add(1, Relaxed);
        let running = RunningWork {
            start,
            since: Instant::now(),
            end: None,
        };
        self.work.lock().insert(token, running);
        token
    }

    /// Ends work, and wakes the task that reports ends.
    pub(crate) fn end(&self, token: u64, end: impl FnOnce(&mut S) -> E) {
        if let Some(work) = self.work.lock().get_mut(&token) {
            work.end = Some(end(&mut work.start));
        }
        self.scheduler.wake();
    }

    /// The work that has ended, as `read` sees it, with its tokens.
    pub(crate) fn ended<T>(&self, read: impl Fn(&S, &E) -> T) -> (Vec<u64>, Vec<T>) {
        let work = self.work.lock();
        let ended = work
            .iter()
            .filter_map(|(token, work)| Some((*token, read(&work.start, work.end.as_ref()?))));
        ended.unzip()
    }

    /// The work that is at least a sixth of a lease old, as `read` sees it, with its tokens.
    pub(crate) fn to_renew<T>(
        &self,
        lease: Duration,
        read: impl Fn(&S) -> T,
    ) -> (Vec<u64>, Vec<T>) {
        let now = Instant::now();
        let work = self.work.lock();
        let old = work
            .iter()
            .filter(|(_, work)| work.since + lease / 6 <= now);
        old.map(|(token, work)| (*token, read(&work.start))).unzip()
    }

    /// This work is held for a whole lease from this time on.
    pub(crate) fn renewed(&self, tokens: &[u64], at: Instant) {
        let mut work = self.work.lock();
        for token in tokens {
            if let Some(work) = work.get_mut(token) {
                work.since = at;
            }
        }
    }

    /// After which time the oldest work must be renewed; `None` if nothing is running.
    pub(crate) fn renewal_in(&self, lease: Duration) -> Option<Duration> {
        let work = self.work.lock();
        let oldest = work.values().map(|work| work.since).min()?;
        Some((oldest + lease / 3).saturating_duration_since(Instant::now()))
    }

    /// The state has heard of the end of this work. Returns it.
    pub(crate) fn forget(&self, tokens: &[u64]) -> Vec<(S, Option<E>)> {
        let mut work = self.work.lock();
        let forgotten = tokens.iter().filter_map(|token| work.remove(token));
        let forgotten = forgotten.map(|work| (work.start, work.end)).collect();
        self.scheduler.reported();
        forgotten
    }
}
