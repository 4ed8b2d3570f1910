//! Limits how much may be in flight in the process, in actions and in bytes. The reader of a message admits it first.
//! The permit travels with the loan and is released when the loan ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

/// The two limits. Waiters are served in order of arrival. Releasing room takes no lock, because it happens once per
/// action, from any thread.
#[derive(Debug)]
pub struct Admission {
    /// Actions in the upper half, bytes in the lower. Both change in one atomic step.
    taken: AtomicU64,
    actions_max: u32,
    bytes_max: u32,
    /// Bytes set aside.
    reserved: AtomicU32,
    /// The number of waiters. New callers do not overtake them.
    waiting: AtomicU32,
    /// Held by the next waiter in line.
    line: Mutex<()>,
    freed: Notify,
}

impl Admission {
    /// Allows at most `actions_max` actions and `bytes_max` bytes in flight. `bytes_max` is capped at 4 GiB.
    pub fn new(actions_max: u32, bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicU64::new(0),
            actions_max: actions_max.max(1),
            bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX).max(1),
            reserved: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            line: Mutex::new(()),
            freed: Notify::new(),
        })
    }

    /// Waits until there is room. A request larger than the whole limit, less the bytes set aside, counts as that
    /// limit.
    pub async fn admit(self: &Arc<Self>, actions: u32, bytes: u64) -> Permit {
        let _waiting = Waiting::begin(&self.waiting);
        let _turn = self.line.lock().await;
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(permit) = self.take(actions, bytes) {
                return permit;
            }
            freed.await;
        }
    }

    /// Waits until there is room, at most `limit`.
    pub async fn admit_within(
        self: &Arc<Self>,
        actions: u32,
        bytes: u64,
        limit: Duration,
    ) -> Option<Permit> {
        if let Some(permit) = self.try_admit(actions, bytes) {
            return Some(permit);
        }
        timeout(limit, self.admit(actions, bytes)).await.ok()
    }

    /// Takes room if there is some now and nothing else waits for it.
    pub fn try_admit(self: &Arc<Self>, actions: u32, bytes: u64) -> Option<Permit> {
        if self.waiting.load(SeqCst) > 0 {
            return None;
        }
        self.take(actions, bytes)
    }

    /// Sets bytes aside, until dropped, for data that client libraries prefetch. Does not wait for actions in flight to
    /// finish. The total stays within [`reserve_max`](Self::reserve_max).
    pub fn reserve(self: &Arc<Self>, bytes: u32) -> ReservedBytes {
        let more = |before: u32| Some(before.saturating_add(bytes).min(self.reserve_max()));
        let before = self.reserved.fetch_update(SeqCst, SeqCst, more);
        let before = before.unwrap_or_else(|before| before);
        ReservedBytes {
            set_aside_of: self.clone(),
            bytes: bytes.min(self.reserve_max() - before),
        }
    }

    /// The maximum number of bytes set aside in total: a quarter of the limit.
    pub fn reserve_max(&self) -> u32 {
        self.bytes_max / 4
    }

    fn take(self: &Arc<Self>, actions: u32, bytes: u64) -> Option<Permit> {
        let actions = actions.min(self.actions_max);
        let bytes_max = self.bytes_max - self.bytes_reserved();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(bytes_max);
        let fits = |taken: u64| {
            let (actions_taken, bytes_taken) = halves(taken);
            let actions = below(actions_taken, actions, self.actions_max)?;
            Some(both(actions, below(bytes_taken, bytes, bytes_max)?))
        };
        self.taken.fetch_update(SeqCst, SeqCst, fits).ok()?;
        Some(Permit {
            taken_from: Arc::new(TakenFrom(self.clone())),
            actions,
            bytes,
        })
    }

    fn give_back(&self, actions: u32, bytes: u32) {
        self.taken.fetch_sub(both(actions, bytes), SeqCst);
        self.wake_next();
    }

    fn wake_next(&self) {
        if self.waiting.load(SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// The number of actions in flight.
    pub fn actions_in_flight(&self) -> u32 {
        halves(self.taken.load(SeqCst)).0
    }

    /// The number of bytes in flight, without those set aside.
    pub fn bytes_in_flight(&self) -> u32 {
        halves(self.taken.load(SeqCst)).1
    }

    /// The number of bytes set aside.
    pub fn bytes_reserved(&self) -> u32 {
        self.reserved.load(SeqCst)
    }

    /// The limit on actions.
    pub fn actions_max(&self) -> u32 {
        self.actions_max
    }

    /// The limit on bytes.
    pub fn bytes_max(&self) -> u32 {
        self.bytes_max
    }
}

fn both(actions: u32, bytes: u32) -> u64 {
    u64::from(actions) << 32 | u64::from(bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "each half has 32 bits")]
fn halves(taken: u64) -> (u32, u32) {
    ((taken >> 32) as u32, taken as u32)
}

/// The sum of `taken` and `more`, if it does not exceed `max`.
fn below(taken: u32, more: u32, max: u32) -> Option<u32> {
    taken.checked_add(more).filter(|sum| *sum <= max)
}

/// Counts one waiter, until dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Bytes set aside. Dropping this releases them.
#[derive(Debug)]
pub struct ReservedBytes {
    set_aside_of: Arc<Admission>,
    bytes: u32,
}

impl Drop for ReservedBytes {
    fn drop(&mut self) {
        self.set_aside_of.reserved.fetch_sub(self.bytes, SeqCst);
        self.set_aside_of.wake_next();
    }
}

/// Shared only by the parts of one permit. Threads that drop these parts do not contend with other batches on its
/// counter.
#[derive(Debug)]
struct TakenFrom(Arc<Admission>);

/// Permission to be in flight. Dropping it releases the room.
#[derive(Debug)]
pub struct Permit {
    taken_from: Arc<TakenFrom>,
    actions: u32,
    bytes: u32,
}

impl Permit {
    /// The number of bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes.into()
    }

    /// Takes over the room of `other`, a permit from the same admission.
    pub fn merge(&mut self, mut other: Self) {
        debug_assert!(
            Arc::ptr_eq(&self.taken_from.0, &other.taken_from.0),
            "room goes back to where it was taken from"
        );
        self.actions += std::mem::take(&mut other.actions);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Splits off one action with up to `bytes` bytes, as far as the permit still holds them.
    pub fn split_one(&mut self, bytes: u64) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes);
        let actions = self.actions.min(1);
        self.actions -= actions;
        self.bytes -= bytes;
        Self {
            taken_from: self.taken_from.clone(),
            actions,
            bytes,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.actions > 0 || self.bytes > 0 {
            self.taken_from.0.give_back(self.actions, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_comes_back_when_the_last_part_of_a_permit_is_dropped() {
        let admission = Admission::new(2, 100);
        let mut batch = admission.admit(2, 60).await;
        let first = batch.split_one(40);
        assert!(admission.try_admit(1, 1).is_none(), "both places are taken");
        drop(first);
        assert_eq!(
            (admission.actions_in_flight(), admission.bytes_in_flight()),
            (1, 20)
        );
        drop(batch);
        assert_eq!(
            (admission.actions_in_flight(), admission.bytes_in_flight()),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn merged_permits_give_back_what_both_held() {
        let admission = Admission::new(2, 100);
        let mut permit = admission.admit(0, 30).await;
        permit.merge(admission.admit(1, 20).await);
        let taken = || (admission.actions_in_flight(), admission.bytes_in_flight());
        assert_eq!((permit.bytes(), taken()), (50, (1, 50)));
        drop(permit);
        assert_eq!(taken(), (0, 0));
    }

    #[tokio::test]
    async fn what_is_larger_than_the_bound_takes_the_whole_bound() {
        let admission = Admission::new(2, 100);
        let all = admission.admit(1, 1_000_000).await;
        assert_eq!(admission.bytes_in_flight(), 100);
        assert!(admission.try_admit(1, 1).is_none());
        drop(all);
        assert!(admission.try_admit(1, 1).is_some());
    }

    #[tokio::test]
    async fn what_is_set_aside_is_a_quarter_at_most_and_the_rest_can_still_be_had_as_a_whole() {
        let admission = Admission::new(2, 100);
        let reserved: Vec<_> = (0..8).map(|_| admission.reserve(10)).collect();
        assert_eq!(admission.bytes_reserved(), 25);
        assert!(admission.try_admit(1, 75).is_some());
        let large = admission.try_admit(1, 1_000_000).unwrap();
        assert_eq!(admission.bytes_in_flight(), 75);
        drop((reserved, large));
        assert_eq!(admission.bytes_reserved(), 0);
        assert!(admission.try_admit(1, 100).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_room_ends_after_the_limit_and_takes_nothing() {
        let admission = Admission::new(1, 100);
        let taken = admission.admit(1, 1).await;
        assert!(
            admission
                .admit_within(1, 1, Duration::from_millis(100))
                .await
                .is_none()
        );
        drop(taken);
        assert_eq!(admission.actions_in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_overtakes_who_waits_for_more() {
        let admission = Admission::new(4, 100);
        let taken = admission.admit(3, 1).await;
        let large = admission.admit(2, 1);
        tokio::pin!(large);
        assert!(poll_once(large.as_mut()).await.is_none());
        assert!(
            admission.try_admit(1, 1).is_none(),
            "there is room, but not for those behind"
        );
        drop(taken);
        let large = large.await;
        assert!(admission.try_admit(2, 1).is_some());
        drop(large);
        assert_eq!(admission.actions_in_flight(), 0);
    }

    async fn poll_once<F: Future + Unpin>(future: F) -> Option<F::Output> {
        timeout(Duration::ZERO, future).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_bytes_while_there_is_room_for_actions_sleeps() {
        let admission = Admission::new(10, 100);
        let taken = admission.admit(1, 90).await;
        let limit = Duration::from_millis(100);
        assert!(admission.admit_within(1, 50, limit).await.is_none());
        drop(taken);
        assert!(admission.admit_within(1, 50, limit).await.is_some());
    }
}
