//! For `ordered = true`: messages of one key are handed in one after another. The next one goes when the previous one
//! is settled.

use std::collections::VecDeque;

use acteon_core::{Detach, Envelope, Parked, Permit};
use hashbrown::HashMap;

use crate::inbox::EpochOffset;

/// A key of a partition or queue. Two keys with the same hash share a lane, which orders more than required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    epoch: u32,
    key: u64,
}

impl Lane {
    /// The lane of the key with hash `key`.
    pub fn new(epoch: u32, key: u64) -> Self {
        Self { epoch, key }
    }
}

/// A message that waits for its lane.
#[derive(Debug)]
pub struct LaneEntry {
    /// The message.
    pub at: EpochOffset,
    /// Its decoded content.
    pub envelope: Box<Envelope>,
    /// Its share of the room in flight.
    pub permit: Permit,
}

impl Detach for LaneEntry {
    fn detach(&mut self) {
        self.envelope.detach();
    }
}

/// The occupied lanes.
#[derive(Debug, Default)]
pub struct Lanes {
    occupied: HashMap<Lane, VecDeque<Parked<LaneEntry>>>,
    by_message: HashMap<EpochOffset, Lane>,
}

impl Lanes {
    /// Occupies the lane and returns the message to be handed in, or queues it behind the current one.
    pub fn enter(&mut self, lane: Lane, entry: LaneEntry) -> Option<LaneEntry> {
        if let Some(waiting) = self.occupied.get_mut(&lane) {
            waiting.push_back(Parked::new(entry));
            return None;
        }
        self.occupied.insert(lane, VecDeque::new());
        self.by_message.insert(entry.at, lane);
        Some(entry)
    }

    /// The message is settled: returns the next message of its lane, which now occupies it.
    pub fn leave(&mut self, at: EpochOffset) -> Option<LaneEntry> {
        let lane = self.by_message.remove(&at)?;
        let next = self.occupied.get_mut(&lane).and_then(VecDeque::pop_front);
        match &next {
            Some(next) => self.by_message.insert(next.at, lane),
            None => self.occupied.remove(&lane).and(None),
        };
        next.map(Parked::into_inner)
    }

    /// Drops the queued messages of `epoch` from `end` on. Those below continue in order.
    pub fn drop_from(&mut self, epoch: u32, end: u64) {
        let of_epoch = self
            .occupied
            .iter_mut()
            .filter(|(lane, _)| lane.epoch == epoch);
        for (_, waiting) in of_epoch {
            waiting.retain(|entry| entry.at.offset < end);
        }
    }

    /// Drops the lanes of the epochs for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.occupied.retain(|lane, _| keep(lane.epoch));
        self.by_message.retain(|at, _| keep(at.epoch));
    }
}

#[cfg(test)]
mod tests {
    use acteon_core::Admission;
    use acteon_testkit::action;

    use super::*;

    fn entry(offset: u64) -> LaneEntry {
        LaneEntry {
            at: EpochOffset { epoch: 0, offset },
            envelope: Box::new(action("a").envelope()),
            permit: Admission::new(1, 1).try_admit(1, 1).unwrap(),
        }
    }

    #[test]
    fn one_key_goes_one_after_another_and_others_pass() {
        let mut lanes = Lanes::default();
        let enter = |lanes: &mut Lanes, offset, key: char| {
            let lane = Lane::new(0, key.into());
            lanes.enter(lane, entry(offset)).map(|q| q.at.offset)
        };
        assert_eq!(enter(&mut lanes, 1, 'a'), Some(1));
        assert_eq!(enter(&mut lanes, 2, 'a'), None);
        assert_eq!(enter(&mut lanes, 3, 'b'), Some(3));
        assert_eq!(enter(&mut lanes, 4, 'a'), None);
        let leave = |lanes: &mut Lanes, offset| {
            let next = lanes.leave(EpochOffset { epoch: 0, offset });
            next.map(|entry| entry.at.offset)
        };
        assert_eq!(leave(&mut lanes, 1), Some(2));
        assert_eq!(leave(&mut lanes, 1), None, "it has left before");
        assert_eq!(leave(&mut lanes, 3), None);
        assert_eq!(leave(&mut lanes, 2), Some(4));
        assert_eq!(leave(&mut lanes, 4), None);
        assert_eq!(enter(&mut lanes, 5, 'a'), Some(5), "the lane is free");
    }

    #[test]
    fn what_lies_below_an_end_goes_on_in_its_order_and_the_rest_is_dropped() {
        let mut lanes = Lanes::default();
        for offset in 1..=4 {
            lanes.enter(Lane::new(0, 7), entry(offset));
        }
        lanes.drop_from(1, 0);
        lanes.drop_from(0, 3);
        let mut leave = |offset| {
            let next = lanes.leave(EpochOffset { epoch: 0, offset });
            next.map(|entry| entry.at.offset)
        };
        assert_eq!((leave(1), leave(2), leave(3)), (Some(2), None, None));
    }

    #[test]
    fn lanes_of_a_partition_that_was_given_up_are_forgotten() {
        let mut lanes = Lanes::default();
        let lane = Lane::new(0, 1);
        assert!(lanes.enter(lane, entry(1)).is_some());
        assert!(lanes.enter(lane, entry(2)).is_none());
        lanes.retain(|epoch| epoch != 0);
        assert!(
            lanes
                .leave(EpochOffset {
                    epoch: 0,
                    offset: 1
                })
                .is_none()
        );
        assert!(lanes.enter(lane, entry(3)).is_some());
    }
}
