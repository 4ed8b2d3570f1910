//! Delivers events from other tasks to the session: settled loans and the client's reports. Adding one takes a few
//! instructions; the session empties the inbox once per turn.

use std::sync::Arc;

use acteon_core::{Origin, Settled};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A message held by this session: the epoch that lent it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Counts partition assignments or channel openings, so that one that was lost and regained is not confused with
    /// its predecessor.
    pub epoch: u32,
    /// The offset, the sequence in the stream, or the delivery tag.
    pub offset: u64,
}

/// The received events; `R` is a client report. Bounded by the loans and reports outstanding.
#[derive(Debug)]
pub struct Arrived<R> {
    /// Settled messages, in order of settlement.
    pub done: Vec<Place>,
    /// Loans that ended in another way, and need further handling.
    pub settled: Vec<(Place, Settled)>,
    /// The client's reports.
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

/// The events received and not taken yet.
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
    /// Waits for the first event since the last [`take`](Self::take).
    pub async fn arrived(&self) {
        self.wake.notified().await;
    }

    /// Swaps out everything received, reusing the allocation of `emptied`.
    pub fn take(&self, emptied: &mut Arrived<R>) {
        debug_assert!(emptied.is_empty(), "what was taken is dealt with first");
        std::mem::swap(&mut *self.arrived.lock(), emptied);
    }

    /// Adds a report from the client.
    pub fn report(&self, report: R) {
        self.leave(|arrived| arrived.reports.push(report));
    }

    /// Wakes the session only for the first event: it takes the others along.
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

/// The origin of one epoch's loans. Tokens are offsets.
#[derive(Debug)]
pub struct Lender<R> {
    /// The epoch of its loans' places.
    pub epoch: u32,
    /// Receives the ends of its loans.
    pub inbox: Arc<Inbox<R>>,
}

impl<R: Send> Origin for Lender<R> {
    fn settled(&self, token: u64, settled: Settled) {
        let place = Place {
            epoch: self.epoch,
            offset: token,
        };
        self.inbox.leave(|arrived| match settled {
            Settled::Done(_) | Settled::Remembered(_) => arrived.done.push(place),
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
