//! Where what happens elsewhere reaches the session: loans settled by any task, and what the client reports
//! while it is polled. Left here in a few instructions, taken out by the session once a turn.

use std::sync::Arc;

use acteon_core::{Origin, Settled};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::context::Report;

/// A record in the hands of this session: the assignment of its partition, and its offset there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Counts assignments, so a partition that was taken away and given back is not mistaken for its former self.
    pub(crate) epoch: u32,
    pub(crate) offset: u64,
}

/// What has arrived. As long as there are loans and reports outstanding, at most.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Came to their end, in the order they did.
    pub(crate) done: Vec<Place>,
    /// Ended in a way that asks for more.
    pub(crate) settled: Vec<(Place, Settled)>,
    pub(crate) reports: Vec<Report>,
}

impl Arrived {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.settled.is_empty() && self.reports.is_empty()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    arrived: Mutex<Arrived>,
    wake: Notify,
}

impl Inbox {
    /// Waits until something has arrived since the last [`take`](Self::take).
    pub(crate) async fn arrived(&self) {
        self.wake.notified().await;
    }

    /// Changes what has arrived for `emptied`, whose room is used again.
    pub(crate) fn take(&self, emptied: &mut Arrived) {
        debug_assert!(emptied.is_empty(), "what was taken is dealt with first");
        std::mem::swap(&mut *self.arrived.lock(), emptied);
    }

    pub(crate) fn report(&self, report: Report) {
        self.leave(|arrived| arrived.reports.push(report));
    }

    /// Wakes the session for the first thing it finds: it takes the others with it.
    fn leave(&self, put: impl FnOnce(&mut Arrived)) {
        let mut arrived = self.arrived.lock();
        let first = arrived.is_empty();
        put(&mut arrived);
        drop(arrived);
        if first {
            self.wake.notify_one();
        }
    }
}

/// The origin of the loans of one assignment. Tokens are offsets.
#[derive(Debug)]
pub(crate) struct Lender {
    pub(crate) epoch: u32,
    pub(crate) inbox: Arc<Inbox>,
}

impl Origin for Lender {
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
