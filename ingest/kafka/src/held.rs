//! What waits for its time inside this process: records offered again, and publications tried again. Their
//! offsets stay unsettled meanwhile, so a crash brings them again.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use acteon_core::delivery::detached;
use acteon_core::{Permit, Returned};
use tokio::time::Instant;

use crate::inbox::Place;
use crate::publish::Publication;

/// What to do when the time has come.
pub(crate) enum Again {
    HandIn(Returned),
    Publish(Box<Publication>),
}

/// One thing that waits.
pub(crate) struct Held {
    pub(crate) due: Instant,
    pub(crate) place: Place,
    pub(crate) again: Again,
    /// Its share of what may be in flight; without one nothing new is read.
    pub(crate) permit: Option<Permit>,
    /// True when it came from the retry topic before its time.
    pub(crate) undue: bool,
}

impl Held {
    /// How many bytes it keeps in memory.
    pub(crate) fn bytes(&self) -> u64 {
        let raw = match &self.again {
            Again::HandIn(Returned::Action(envelope)) => &envelope.raw,
            Again::HandIn(Returned::Poison(poison)) => &poison.raw,
            Again::Publish(publication) => publication.raw(),
        };
        raw.len() as u64
    }
}

/// All that waits, soonest first.
#[derive(Default)]
pub(crate) struct Waiting {
    heap: BinaryHeap<Soonest>,
    unadmitted: usize,
}

impl Waiting {
    pub(crate) fn push(&mut self, mut held: Held) {
        match &mut held.again {
            Again::HandIn(Returned::Action(envelope)) => envelope.detach(),
            Again::HandIn(Returned::Poison(poison)) => poison.raw = detached(&poison.raw),
            // It has its own bytes.
            Again::Publish(_) => {}
        }
        self.unadmitted += usize::from(held.permit.is_none());
        self.heap.push(Soonest(held));
    }

    /// Takes out what is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Held> {
        if self.next_due()? > now {
            return None;
        }
        let Soonest(held) = self.heap.pop()?;
        self.unadmitted -= usize::from(held.permit.is_none());
        Some(held)
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Soonest(held)| held.due)
    }

    /// True when something in memory has no permit.
    pub(crate) fn is_over_the_bound(&self) -> bool {
        self.unadmitted > 0
    }

    /// Drops what belongs to places that are not kept: the broker brings it again.
    pub(crate) fn retain(&mut self, keep: impl Fn(Place) -> bool) {
        self.heap.retain(|Soonest(held)| keep(held.place));
        let missing = |Soonest(held): &&Soonest| held.permit.is_none();
        self.unadmitted = self.heap.iter().filter(missing).count();
    }
}

struct Soonest(Held);

impl Ord for Soonest {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |Self(held): &Self| (held.due, held.place.epoch, held.place.offset);
        key(other).cmp(&key(self))
    }
}

impl PartialOrd for Soonest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Soonest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Soonest {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use acteon_core::Poison;
    use acteon_core::delivery::Position;
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    fn held(due: Instant, epoch: u32, offset: u64) -> Held {
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
            undue: false,
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
        waiting.retain(|place| place.epoch == 1);
        assert!(waiting.is_over_the_bound());
        let last = waiting.due(now).unwrap();
        assert_eq!((last.place.offset, last.bytes()), (2, 4));
        assert!(!waiting.is_over_the_bound() && waiting.due(now).is_none());
    }
}
