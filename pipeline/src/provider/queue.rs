//! The bounds of a provider's queue: how many actions may wait for it, and how many bytes its actions may hold. Once it
//! becomes full, callers with a limit wait for it at most that long in total, even if single places become free. The
//! time restarts only after half of the queue is free again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long to wait for a queue that has become full.
pub(crate) const MOMENT: Duration = Duration::from_millis(50);

/// The limits of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) actions: u32,
    pub(crate) bytes: u64,
}

/// The limits and the current use.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    actions: AtomicU32,
    bytes: AtomicU64,
    /// When it became full. `None` once half of it is free again.
    full_since: Mutex<Option<Instant>>,
    /// Whether `full_since` is set; readable without the lock.
    is_full: AtomicBool,
    freed: Notify,
}

/// A place in the queue. Dropping it releases the place.
#[derive(Debug)]
pub(crate) struct QueuePlace {
    queue: Arc<Queue>,
    bytes: u64,
    /// False during an attempt. The action then counts only by its bytes.
    waits: bool,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            actions: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            full_since: Mutex::default(),
            is_full: AtomicBool::new(false),
            freed: Notify::new(),
        })
    }

    /// Takes a place if there is one now. An action larger than the byte limit enters only when no other bytes are
    /// held.
    pub(crate) fn try_enter(self: &Arc<Self>, bytes: u64) -> Option<QueuePlace> {
        let fits = |used: u64| {
            let all = used.saturating_add(bytes);
            (used == 0 || all <= self.bounds.bytes).then_some(all)
        };
        self.bytes.fetch_update(SeqCst, SeqCst, fits).ok()?;
        let place = |used: u32| (used < self.bounds.actions).then_some(used + 1);
        if self.actions.fetch_update(SeqCst, SeqCst, place).is_err() {
            self.bytes.fetch_sub(bytes, SeqCst);
            return None;
        }
        Some(self.place(bytes, true))
    }

    /// Takes a place for a running attempt, even beyond the limits. There are at most as many of these as concurrent
    /// attempts.
    pub(crate) fn enter_running(self: &Arc<Self>, bytes: u64) -> QueuePlace {
        self.bytes.fetch_add(bytes, SeqCst);
        self.place(bytes, false)
    }

    /// Waits for a place. With a limit, it gives up once the queue has been full for that long.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        bytes: u64,
        limit: Option<Duration>,
    ) -> Option<QueuePlace> {
        let Some(limit) = limit else {
            return Some(self.wait(bytes).await);
        };
        let since = *self.full_since.lock().get_or_insert_with(Instant::now);
        self.is_full.store(true, SeqCst);
        let until = since + limit;
        if until <= Instant::now() {
            return None;
        }
        timeout_at(until, self.wait(bytes)).await.ok()
    }

    /// The number of waiting actions.
    pub(crate) fn waiting(&self) -> u32 {
        self.actions.load(SeqCst)
    }

    async fn wait(self: &Arc<Self>, bytes: u64) -> QueuePlace {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(place) = self.try_enter(bytes) {
                return place;
            }
            freed.await;
        }
    }

    fn place(self: &Arc<Self>, bytes: u64, waits: bool) -> QueuePlace {
        QueuePlace {
            queue: self.clone(),
            bytes,
            waits,
        }
    }

    fn free(&self) {
        if self.is_full.load(SeqCst) && self.is_half_free() {
            *self.full_since.lock() = None;
            self.is_full.store(false, SeqCst);
        }
        self.freed.notify_waiters();
    }

    /// True if at least half of it is free.
    pub(crate) fn is_half_free(&self) -> bool {
        self.actions.load(SeqCst) <= self.bounds.actions / 2
            && self.bytes.load(SeqCst) <= self.bounds.bytes / 2
    }
}

impl QueuePlace {
    /// Marks the start of the attempt, which frees the place for another action.
    pub(crate) fn begin(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.queue.actions.fetch_sub(1, SeqCst);
            self.queue.free();
        }
    }

    /// Marks that the attempt will be repeated. The action waits again, even beyond the limit.
    pub(crate) fn wait_again(&mut self) {
        if !self.waits {
            self.waits = true;
            self.queue.actions.fetch_add(1, SeqCst);
        }
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.queue.bytes.fetch_sub(self.bytes, SeqCst);
        if self.waits {
            self.queue.actions.fetch_sub(1, SeqCst);
        }
        self.queue.free();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    fn queue(actions: u32, bytes: u64) -> Arc<Queue> {
        Queue::new(Bounds { actions, bytes })
    }

    #[test]
    fn a_place_is_given_back_with_its_bytes() {
        let queue = queue(2, 100);
        let first = queue.try_enter(60).unwrap();
        assert!(queue.try_enter(50).is_none(), "too many bytes");
        let second = queue.try_enter(40).unwrap();
        assert!(queue.try_enter(0).is_none(), "too many actions");
        drop((first, second));
        let large = queue.try_enter(1000).unwrap();
        assert!(
            queue.try_enter(1).is_none(),
            "what is too large waits alone"
        );
        drop(large);
        assert_eq!(queue.waiting(), 0);
        assert!(queue.try_enter(100).is_some());
    }

    #[test]
    fn what_is_being_attempted_keeps_its_bytes_and_no_place() {
        let queue = queue(1, 100);
        let mut first = queue.try_enter(60).unwrap();
        first.begin();
        assert_eq!(queue.waiting(), 0);
        assert!(queue.try_enter(50).is_none());
        let second = queue.try_enter(40).unwrap();
        first.wait_again();
        assert_eq!(
            queue.waiting(),
            2,
            "beyond the bound, for it was there before"
        );
        drop((first, second));
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_waited_for_once_until_half_of_it_is_free() {
        let queue = queue(4, 100);
        let mut places: Vec<_> = (0..4).map(|_| queue.try_enter(1).unwrap()).collect();
        let start = Instant::now();
        assert!(queue.enter(1, Some(MOMENT)).await.is_none());
        assert_eq!(start.elapsed(), MOMENT);
        places.pop();
        assert!(queue.enter(1, Some(MOMENT)).await.is_none());
        assert_eq!(start.elapsed(), MOMENT, "it has been waited for");
        places.pop();
        assert!(queue.enter(1, Some(MOMENT)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_come_free_one_by_one_do_not_prolong_the_moment() {
        let queue = queue(100, 1000);
        let mut places: Vec<_> = (0..100).map(|_| queue.try_enter(1).unwrap()).collect();
        let start = Instant::now();
        let mut refused = 0;
        for _ in 0..30 {
            let (entered, ()) = tokio::join!(queue.enter(1, Some(MOMENT)), async {
                sleep(Duration::from_millis(10)).await;
                places.pop();
            });
            refused += usize::from(entered.is_none());
            places.extend(entered);
        }
        assert_eq!(start.elapsed(), Duration::from_millis(300), "of the places");
        assert!(refused >= 24, "{refused} did not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_time_waits_until_there_is_a_place() {
        let queue = queue(1, 100);
        let place = queue.try_enter(1).unwrap();
        let entered = queue.enter(1, None);
        tokio::pin!(entered);
        assert!(
            timeout(Duration::from_secs(3600), entered.as_mut())
                .await
                .is_err()
        );
        drop(place);
        drop(entered.await.unwrap());
    }
}
