//! Messages and publications that wait in this process to be tried again. They stay unsettled in the meantime, so they
//! are delivered again after a crash.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use acteon_core::{Detach, Parked, Permit, Returned};
use tokio::time::Instant;

use crate::inbox::EpochOffset;
use crate::publish::Publication;

/// What to do when an item is due.
#[derive(Debug)]
pub enum DueAction<P> {
    /// Lend it out again.
    HandIn(Returned),
    /// Publish it again.
    Publish(Box<P>),
}

/// Why an item waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayReason {
    /// The pipeline could not take it now, and it is offered again soon. It still counts as on loan.
    Refused,
    /// It is offered or published again after a while.
    Delayed,
    /// It was read before it was due.
    Undue,
}

/// A waiting item.
#[derive(Debug)]
pub struct DelayedItem<P> {
    /// When the wait is over.
    pub due: Instant,
    /// Its message.
    pub at: EpochOffset,
    /// What to do then.
    pub action: DueAction<P>,
    /// Its share of the room in flight. While one is missing, nothing new is read.
    pub permit: Option<Permit>,
    /// Why it waits.
    pub reason: DelayReason,
}

impl<P> DelayedItem<P> {
    /// An item without a permit.
    pub fn new(at: EpochOffset, due: Instant, action: DueAction<P>, reason: DelayReason) -> Self {
        Self {
            due,
            at,
            action,
            permit: None,
            reason,
        }
    }

    fn is_unadmitted(&self) -> bool {
        self.permit.is_none() && self.reason != DelayReason::Undue
    }
}

impl<P: Publication> DelayedItem<P> {
    /// How many bytes it keeps in memory.
    pub fn bytes(&self) -> u64 {
        let raw = match &self.action {
            DueAction::HandIn(Returned::Action(envelope)) => &envelope.raw,
            DueAction::HandIn(Returned::Poison(poison)) => &poison.raw,
            DueAction::Publish(publication) => publication.raw(),
        };
        raw.len() as u64
    }
}

impl<P> Detach for DelayedItem<P> {
    fn detach(&mut self) {
        match &mut self.action {
            DueAction::HandIn(Returned::Action(envelope)) => envelope.detach(),
            DueAction::HandIn(Returned::Poison(poison)) => poison.detach(),
            // A publication is parked already.
            DueAction::Publish(_) => {}
        }
    }
}

/// All waiting items, soonest first.
#[derive(Debug)]
pub struct DelayQueue<P> {
    heap: BinaryHeap<Soonest<P>>,
    unadmitted: usize,
}

impl<P> Default for DelayQueue<P> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            unadmitted: 0,
        }
    }
}

impl<P> DelayQueue<P> {
    /// Keeps an item until it is due.
    pub fn push(&mut self, item: DelayedItem<P>) {
        self.unadmitted += usize::from(item.is_unadmitted());
        self.heap.push(Soonest(Parked::new(item)));
    }

    /// Takes an item that is due.
    pub fn due(&mut self, now: Instant) -> Option<DelayedItem<P>> {
        if self.next_due()? > now {
            return None;
        }
        let Soonest(item) = self.heap.pop()?;
        self.unadmitted -= usize::from(item.is_unadmitted());
        Some(item.into_inner())
    }

    /// When the first item is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Soonest(item)| item.due)
    }

    /// True if an item in memory has no permit.
    pub fn is_over_the_bound(&self) -> bool {
        self.unadmitted > 0
    }

    /// Drops the items for which `keep` is false: the broker delivers their messages again.
    pub fn retain(&mut self, keep: impl Fn(&DelayedItem<P>) -> bool) {
        self.heap.retain(|Soonest(item)| keep(item));
        let missing = |Soonest(item): &&Soonest<P>| item.is_unadmitted();
        self.unadmitted = self.heap.iter().filter(missing).count();
    }
}

#[derive(Debug)]
struct Soonest<P>(Parked<DelayedItem<P>>);

impl<P> Ord for Soonest<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |Self(item): &Self| (item.due, item.at.epoch, item.at.offset);
        key(other).cmp(&key(self))
    }
}

impl<P> PartialOrd for Soonest<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Soonest<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Soonest<P> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use acteon_core::Poison;
    use acteon_core::delivery::Position;
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    struct Nothing(Bytes);

    impl Publication for Nothing {
        fn raw(&self) -> &Bytes {
            &self.0
        }
    }

    fn item(due: Instant, epoch: u32, offset: u64) -> DelayedItem<Nothing> {
        let position = Position {
            stream: "test".into(),
            offset: Some(offset),
        };
        let poison = Poison {
            raw: Bytes::from_static(b"four"),
            reason: String::new(),
            position,
            made_at: Timestamp::UNIX_EPOCH,
        };
        let at = EpochOffset { epoch, offset };
        let action = DueAction::HandIn(Box::new(poison).into());
        DelayedItem::new(at, due, action, DelayReason::Delayed)
    }

    #[test]
    fn what_is_due_comes_out_soonest_first_and_no_sooner() {
        let mut waiting = DelayQueue::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (due, offset) in [(3, 1), (1, 2), (2, 3)] {
            waiting.push(item(at(due), 0, offset));
        }
        let mut due = |now| waiting.due(now).map(|item| item.at.offset);
        assert_eq!(
            [due(at(2)), due(at(2)), due(at(2))],
            [Some(2), Some(3), None]
        );
        assert_eq!(waiting.next_due(), Some(at(3)));
    }

    #[test]
    fn what_is_dropped_does_not_count_against_the_bound_any_more() {
        let mut waiting = DelayQueue::default();
        let now = Instant::now();
        waiting.push(item(now, 0, 1));
        waiting.push(item(now, 1, 2));
        waiting.retain(|item| item.at.epoch == 1);
        assert!(waiting.is_over_the_bound());
        let last = waiting.due(now).unwrap();
        assert_eq!((last.at.offset, last.bytes()), (2, 4));
        assert!(!waiting.is_over_the_bound() && waiting.due(now).is_none());
    }
}
