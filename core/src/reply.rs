//! For callers who wait for an answer: collects the results of a batch of loans, in batch order.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::delivery::{Origin, Settled};

/// The origin of a batch whose caller waits. Tokens are positions in the batch, from 0. Each result is kept as a `T`
/// until all loans have ended.
pub struct Replies<T = Settled, F = fn(Settled) -> T> {
    slots: Mutex<Slots<T>>,
    of: F,
}

struct Slots<T> {
    ended: Vec<Option<T>>,
    missing: usize,
    whole: Option<oneshot::Sender<Vec<T>>>,
}

impl Replies {
    /// An origin for `count` loans, and the receiver of all their results together. If the caller goes away, the work
    /// continues.
    pub fn expect(count: usize) -> (Arc<Self>, oneshot::Receiver<Vec<Settled>>) {
        Self::expect_as(count, std::convert::identity)
    }
}

impl<T, F: Fn(Settled) -> T> Replies<T, F> {
    /// As [`Replies::expect`], but `of` converts each result to the part that the caller needs. This frees the memory
    /// of a returned message at once, without waiting for the rest of its batch.
    pub fn expect_as(count: usize, of: F) -> (Arc<Self>, oneshot::Receiver<Vec<T>>) {
        let (whole, receiver) = oneshot::channel();
        let ended = std::iter::repeat_with(|| None).take(count).collect();
        let slots = Slots {
            ended,
            missing: count,
            whole: Some(whole),
        };
        let slots = Mutex::new(slots);
        (Arc::new(Self { slots, of }), receiver)
    }
}

impl<T: Send, F: Fn(Settled) -> T + Send + Sync> Origin for Replies<T, F> {
    fn settled(&self, token: u64, settled: Settled) {
        let settled = (self.of)(settled);
        let mut slots = self.slots.lock();
        let place = usize::try_from(token)
            .ok()
            .and_then(|at| slots.ended.get_mut(at));
        let Some(slot @ None) = place else {
            debug_assert!(
                false,
                "a loan of this batch was settled twice, or is not of this batch"
            );
            return;
        };
        *slot = Some(settled);
        slots.missing -= 1;
        if slots.missing == 0
            && let Some(whole) = slots.whole.take()
        {
            let ended = std::mem::take(&mut slots.ended)
                .into_iter()
                .flatten()
                .collect();
            // Fails if the caller hung up. The work is done anyway.
            drop(whole.send(ended));
        }
    }
}
