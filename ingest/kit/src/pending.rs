//! The batch being read. It is full by count or by bytes, or ready after a short wait for more, and is admitted with
//! one permit.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Admission, Clock, Permit};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(1);
/// The number of bytes at which a batch is full.
const BATCH_BYTES: u64 = 1 << 20;

/// When a batch was begun.
#[derive(Clone, Copy, Debug)]
pub struct BatchStart {
    /// On the timer clock.
    pub instant: Instant,
    /// On the wall clock.
    pub time: Timestamp,
}

/// Messages read and not yet admitted.
pub struct Pending<T> {
    /// Each message with its size in bytes.
    messages: Vec<(T, u64)>,
    bytes: u64,
    since: Option<BatchStart>,
    count_max: usize,
    /// The request for room.
    admitting: Option<BoxFuture<'static, Permit>>,
}

impl<T> Pending<T> {
    /// A batch of at most `count_max` messages.
    pub fn new(count_max: usize) -> Self {
        Self {
            messages: Vec::new(),
            bytes: 0,
            since: None,
            count_max,
            admitting: None,
        }
    }

    /// When the batch was begun: now if it is empty.
    pub fn begin(&mut self, clock: Clock) -> BatchStart {
        *self.since.get_or_insert_with(|| BatchStart {
            instant: Instant::now(),
            time: clock.now(),
        })
    }

    /// Adds a message of this many bytes.
    pub fn push(&mut self, message: T, bytes: u64) {
        self.bytes += bytes;
        self.messages.push((message, bytes));
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// True if there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// True if it must be handed in without waiting for more.
    pub fn is_full(&self) -> bool {
        self.len() >= self.count_max || self.bytes >= BATCH_BYTES
    }

    /// True while messages may be added: it is not full and not waiting for room.
    pub fn takes_more(&self) -> bool {
        self.admitting.is_none() && !self.is_full()
    }

    /// When it has waited long enough for more.
    pub fn linger_end(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.admitting.is_none())?;
        Some(since.instant + LINGER)
    }

    /// Asks for room for the batch. Returns the permit if there is room now; otherwise [`permit`](Self::permit) returns
    /// it later.
    pub fn admit(&mut self, admission: &Arc<Admission>) -> Option<Permit> {
        if self.admitting.is_some() || self.messages.is_empty() {
            return None;
        }
        let actions = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let bytes = self.bytes;
        let permit = admission.try_admit(actions, bytes);
        if permit.is_none() {
            let admission = admission.clone();
            self.admitting = Some(Box::pin(
                async move { admission.admit(actions, bytes).await },
            ));
        }
        permit
    }

    /// The permit that was asked for. Pending if there is none.
    pub async fn permit(&mut self) -> Permit {
        match &mut self.admitting {
            Some(admitting) => {
                let permit = admitting.await;
                self.admitting = None;
                permit
            }
            None => std::future::pending().await,
        }
    }

    /// Removes the messages, each with its share of `permit`.
    pub fn drain(&mut self, mut permit: Permit) -> impl Iterator<Item = (T, Permit)> {
        self.bytes = 0;
        self.since = None;
        let shares = move |(message, bytes)| (message, permit.split_one(bytes));
        // Draining keeps the allocation.
        self.messages.drain(..).map(shares)
    }

    /// Discards the start time if none of the messages read was added.
    pub fn end_reading(&mut self) {
        if self.messages.is_empty() {
            self.since = None;
        }
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        *self = Self::new(self.count_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(count: u64, bytes: u64) -> Pending<u64> {
        let mut pending = Pending::new(4);
        pending.begin(Clock::system());
        (0..count).for_each(|message| pending.push(message, bytes));
        pending
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_full_by_count_or_by_bytes_and_ripe_after_a_moment() {
        assert!(!pending(3, 1).is_full() && pending(4, 1).is_full());
        assert!(pending(1, BATCH_BYTES).is_full());
        let linger_end = pending(1, 1).linger_end();
        assert_eq!(linger_end, Some(Instant::now() + LINGER));
        let mut nothing = pending(0, 1);
        nothing.end_reading();
        assert_eq!(nothing.linger_end(), None);
    }

    #[tokio::test]
    async fn it_is_admitted_with_one_permit_of_which_each_message_takes_its_share() {
        let admission = Admission::new(3, 30);
        let others = admission.admit(1, 1).await;
        let mut pending = pending(3, 10);
        assert!(pending.admit(&admission).is_none(), "there is no room yet");
        assert!(!pending.takes_more());
        drop(others);
        let permit = pending.permit().await;
        let shares: Vec<_> = pending.drain(permit).collect();
        assert_eq!(admission.bytes_in_flight(), 30);
        for (message, share) in shares {
            drop(share);
            assert_eq!(u64::from(admission.bytes_in_flight()), 20 - 10 * message);
        }
        assert!(pending.is_empty() && pending.takes_more());
    }
}
