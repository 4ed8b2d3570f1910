//! Where what happens elsewhere reaches the session: loans settled by any task, and what the client reports. Left here
//! in a few instructions, taken out by the session once a turn.

use std::sync::Arc;

use acteon_core::{Origin, Settled};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A message in the hands of this session: what lent it out, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Counts assignments of partitions or openings of channels, so that one that was taken away and given back is not
    /// mistaken for its former self.
    pub epoch: u32,
    /// The offset, the sequence in the stream, or the delivery tag.
    pub offset: u64,
}

/// What has arrived; `R` is what the client reports. As long as there are loans and reports outstanding, at most.
#[derive(Debug)]
pub struct Arrived<R> {
    /// Came to their end, in the order they did.
    pub done: Vec<Place>,
    /// Ended in a way that asks for more.
    pub settled: Vec<(Place, Settled)>,
    /// What the client has to say.
    pub reports: Vec<R>,
}

impl<R> Default for Arrived<R> {
    fn default() -> Self {
        Self {
            done: Vec::new(),
            settled: Vec::new(),
            reports: Vec::new(),
        }
    }
}

impl<R> Arrived<R> {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.settled.is_empty() && self.reports.is_empty()
    }
}

/// What has arrived and was not taken out yet.
#[derive(Debug)]
pub struct Inbox<R> {
    arrived: Mutex<Arrived<R>>,
    wake: Notify,
}

impl<R> Default for Inbox<R> {
    fn default() -> Self {
        Self {
            arrived: Mutex::default(),
            wake: Notify::new(),
        }
    }
}

impl<R> Inbox<R> {
    /// Waits until something has arrived since the last [`take`](Self::take).
    pub async fn arrived(&self) {
        self.wake.notified().await;
    }

    /// Changes what has arrived for `emptied`, whose room is used again.
    pub fn take(&self, emptied: &mut Arrived<R>) {
        debug_assert!(emptied.is_empty(), "what was taken is dealt with first");
        std::mem::swap(&mut *self.arrived.lock(), emptied);
    }

    /// Leaves what the client reports.
    pub fn report(&self, report: R) {
        self.leave(|arrived| arrived.reports.push(report));
    }

    /// Wakes the session for the first thing it finds: it takes the others with it.
    fn leave(&self, put: impl FnOnce(&mut Arrived<R>)) {
        let mut arrived = self.arrived.lock();
        let first = arrived.is_empty();
        put(&mut arrived);
        drop(arrived);
        if first {
            self.wake.notify_one();
        }
    }
}

/// The origin of the loans of one epoch. Tokens are offsets.
#[derive(Debug)]
pub struct Lender<R> {
    /// Of the places of its loans.
    pub epoch: u32,
    /// Where their ends are left.
    pub inbox: Arc<Inbox<R>>,
}

impl<R: Send> Origin for Lender<R> {
    fn settled(&self, token: u64, settled: Settled) {
        let place = Place {
            epoch: self.epoch,
            offset: token,
        };
        self.inbox.leave(|arrived| match settled {
            Settled::Done(_) => arrived.done.push(place),
            other => arrived.settled.push((place, other)),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use acteon_core::{ActionOutcome, Refusal};
    use acteon_testkit::action;

    use super::*;

    #[tokio::test]
    async fn what_is_left_wakes_the_session_and_is_taken_out_together() {
        let inbox = Arc::new(Inbox::default());
        let lender = Lender {
            epoch: 3,
            inbox: inbox.clone(),
        };
        lender.settled(7, Settled::Done(ActionOutcome::Deduplicated(())));
        let retry = Settled::Retry {
            returned: Box::new(action("a").envelope()).into(),
            after: Duration::ZERO,
            refusal: Refusal::Busy,
        };
        lender.settled(8, retry);
        inbox.report("lag");
        inbox.arrived().await;
        let mut arrived = Arrived::default();
        inbox.take(&mut arrived);
        let place = |offset| Place { epoch: 3, offset };
        assert_eq!(arrived.done, [place(7)]);
        assert_eq!(arrived.settled[0].0, place(8));
        assert_eq!(arrived.reports, ["lag"]);
        assert!(inbox.arrived.lock().is_empty());
    }
}
