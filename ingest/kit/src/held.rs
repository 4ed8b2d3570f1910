//! Messages and publications that wait in this process to be tried again. They stay unsettled in the meantime, so they
//! are delivered again after a crash.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use acteon_core::{Detach, Parked, Permit, Returned};
use tokio::time::Instant;

use crate::inbox::Place;
use crate::publish::Publication;

/// What to do when the wait is over.
#[derive(Debug)]
pub enum Again<P> {
    /// Lend it out again.
    HandIn(Returned),
    /// Publish it again.
    Publish(Box<P>),
}

/// Why an item waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The pipeline could not take it now, and it is offered again soon. It still counts as on loan.
    Refused,
    /// It is offered or published again after a while.
    Delayed,
    /// It was read before it was due.
    Undue,
}

/// A waiting item.
#[derive(Debug)]
pub struct Held<P> {
    /// When the wait is over.
    pub due: Instant,
    /// The place of its message.
    pub place: Place,
    /// What to do then.
    pub again: Again<P>,
    /// Its share of the room in flight. While one is missing, nothing new is read.
    pub permit: Option<Permit>,
    /// Why it waits.
    pub reason: Reason,
}

impl<P> Held<P> {
    fn is_unadmitted(&self) -> bool {
        self.permit.is_none() && self.reason != Reason::Undue
    }
}

impl<P: Publication> Held<P> {
    /// How many bytes it keeps in memory.
    pub fn bytes(&self) -> u64 {
        let raw = match &self.again {
            Again::HandIn(Returned::Action(envelope)) => &envelope.raw,
            Again::HandIn(Returned::Poison(poison)) => &poison.raw,
            Again::Publish(publication) => publication.raw(),
        };
        raw.len() as u64
    }
}

impl<P> Detach for Held<P> {
    fn detach(&mut self) {
        match &mut self.again {
            Again::HandIn(Returned::Action(envelope)) => envelope.detach(),
            Again::HandIn(Returned::Poison(poison)) => poison.detach(),
            // A publication is parked already.
            Again::Publish(_) => {}
        }
    }
}

/// All waiting items, soonest first.
#[derive(Debug)]
pub struct Waiting<P> {
    heap: BinaryHeap<Soonest<P>>,
    unadmitted: usize,
}

impl<P> Default for Waiting<P> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            unadmitted: 0,
        }
    }
}

impl<P> Waiting<P> {
    /// Keeps an item until it is due.
    pub fn push(&mut self, held: Held<P>) {
        self.unadmitted += usize::from(held.is_unadmitted());
        self.heap.push(Soonest(Parked::new(held)));
    }

    /// Takes an item that is due.
    pub fn due(&mut self, now: Instant) -> Option<Held<P>> {
        if self.next_due()? > now {
            return None;
        }
        let Soonest(held) = self.heap.pop()?;
        self.unadmitted -= usize::from(held.is_unadmitted());
        Some(held.into_inner())
    }

    /// When the first item is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Soonest(held)| held.due)
    }

    /// True if an item in memory has no permit.
    pub fn is_over_the_bound(&self) -> bool {
        self.unadmitted > 0
    }

    /// Drops the items for which `keep` is false: the broker delivers their messages again.
    pub fn retain(&mut self, keep: impl Fn(&Held<P>) -> bool) {
        self.heap.retain(|Soonest(held)| keep(held));
        let missing = |Soonest(held): &&Soonest<P>| held.is_unadmitted();
        self.unadmitted = self.heap.iter().filter(missing).count();
    }
}

#[derive(Debug)]
struct Soonest<P>(Parked<Held<P>>);

impl<P> Ord for Soonest<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |Self(held): &Self| (held.due, held.place.epoch, held.place.offset);
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

    fn held(due: Instant, epoch: u32, offset: u64) -> Held<Nothing> {
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
        Held {
            due,
            place: Place { epoch, offset },
            again: Again::HandIn(Box::new(poison).into()),
            permit: None,
            reason: Reason::Delayed,
        }
    }

    #[test]
    fn what_is_due_comes_out_soonest_first_and_no_sooner() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (due, offset) in [(3, 1), (1, 2), (2, 3)] {
            waiting.push(held(at(due), 0, offset));
        }
        let mut due = |now| waiting.due(now).map(|held| held.place.offset);
        assert_eq!(
            [due(at(2)), due(at(2)), due(at(2))],
            [Some(2), Some(3), None]
        );
        assert_eq!(waiting.next_due(), Some(at(3)));
    }

    #[test]
    fn what_is_dropped_does_not_count_against_the_bound_any_more() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.push(held(now, 0, 1));
        waiting.push(held(now, 1, 2));
        waiting.retain(|held| held.place.epoch == 1);
        assert!(waiting.is_over_the_bound());
        let last = waiting.due(now).unwrap();
        assert_eq!((last.place.offset, last.bytes()), (2, 4));
        assert!(!waiting.is_over_the_bound() && waiting.due(now).is_none());
    }
}
