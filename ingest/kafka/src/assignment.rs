//! The partitions that are ours now: how far each is settled and committed, and what is out on loan from it.

use std::sync::Arc;

use acteon_core::Receipt;
use acteon_core::delivery::Position;
use acteon_ingest_kit::{Begun, Place, Watermark};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::context::{Inbox, Report};

type Lender = acteon_ingest_kit::Lender<Report>;

/// Records that wait for their time, by number and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undue {
    pub(crate) records: usize,
    pub(crate) bytes: u64,
}

impl Undue {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: u64) {
        self.records -= 1;
        self.bytes -= bytes;
    }

    fn reaches(self, max: Self) -> bool {
        self.records >= max.records || self.bytes >= max.bytes
    }

    fn is_over_half(self, max: Self) -> bool {
        self.records > max.records / 2 || self.bytes > max.bytes / 2
    }
}

/// One assigned partition, from its assignment to its end.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
    pub(crate) mark: Watermark,
    pub(crate) lender: Arc<Lender>,
    /// Handed in, or being published, and not settled.
    pub(crate) on_loan: usize,
    /// One past the last offset that was lent out. What lies below is drained before the partition goes: later records
    /// of other keys may be settled, and would come again after it.
    lent_end: u64,
    /// Read from a topic of the delayed path and waiting for their time.
    pub(crate) undue: Undue,
    /// The broker has asked for it back: nothing new is read from it.
    pub(crate) revoking: bool,
    pub(crate) paused: bool,
    stream: Arc<str>,
    /// The position of the last commit that was sent, and of the last that was confirmed.
    sent: u64,
    confirmed: u64,
}

impl Partition {
    /// What records of this partition name as their place: `kafka:orders/3` and the offset.
    pub(crate) fn position(&self, offset: u64) -> Position {
        Position {
            stream: self.stream.clone(),
            offset: Some(offset),
        }
    }

    /// Takes up a record. `None` when it was taken up before, or is not to be.
    pub(crate) fn begin(&mut self, offset: i64) -> Option<Place> {
        let offset = u64::try_from(offset).ok()?;
        let first = self.mark.position().is_none();
        if self.revoking || self.mark.begin(offset) == Begun::Known {
            return None;
        }
        if first {
            (self.sent, self.confirmed) = (offset, offset);
        }
        let epoch = self.lender.epoch;
        Some(Place { epoch, offset })
    }

    /// From here on nothing was lent out.
    pub(crate) fn lent_end(&self) -> u64 {
        self.lent_end
    }

    /// Counts a record as lent out.
    pub(crate) fn lend(&mut self, place: Place) -> Receipt {
        self.on_loan += 1;
        self.lent_end = self.lent_end.max(place.offset + 1);
        Receipt::new(self.lender.clone(), place.offset)
    }

    /// True when it is to be paused on its own account: too much of it is unsettled, or waits for its time.
    pub(crate) fn is_strained(&self, undue_max: Undue) -> bool {
        match self.paused {
            true => !self.mark.is_narrow() || self.undue.is_over_half(undue_max),
            false => self.mark.is_wide() || self.undue.reaches(undue_max),
        }
    }

    fn is(&self, topic: &str, number: i32) -> bool {
        self.number == number && *self.topic == *topic
    }
}

/// All assigned partitions, in the order of their epochs.
pub(crate) struct Assignment {
    partitions: Vec<Partition>,
    /// Where the last record was found: the next is mostly there, too.
    last: usize,
    next_epoch: u32,
    inbox: Arc<Inbox>,
    span_max: usize,
}

impl Assignment {
    pub(crate) fn new(inbox: Arc<Inbox>, span_max: usize) -> Self {
        Self {
            partitions: Vec::new(),
            last: 0,
            next_epoch: 0,
            inbox,
            span_max,
        }
    }

    /// Takes up a partition under a fresh epoch.
    pub(crate) fn add(&mut self, topic: &str, number: i32) {
        let lender = Lender {
            epoch: self.next_epoch,
            inbox: self.inbox.clone(),
        };
        self.next_epoch += 1;
        self.partitions.push(Partition {
            topic: topic.into(),
            number,
            mark: Watermark::new(self.span_max),
            lender: Arc::new(lender),
            on_loan: 0,
            lent_end: 0,
            undue: Undue::default(),
            revoking: false,
            paused: false,
            stream: format!("kafka:{topic}/{number}").into(),
            sent: 0,
            confirmed: 0,
        });
    }

    /// Makes anew what the records of a batch share. The batch counts its sharers down on other threads; sharing with
    /// the next batch would make the two wait for each other.
    pub(crate) fn begin_batch(&mut self) {
        for partition in &mut self.partitions {
            partition.stream = Arc::from(&*partition.stream);
            partition.lender = Arc::new(Lender {
                epoch: partition.lender.epoch,
                inbox: self.inbox.clone(),
            });
        }
    }

    /// Forgets a partition: what is settled of it from now on is fenced.
    pub(crate) fn remove(&mut self, topic: &str, number: i32) -> Option<Partition> {
        let at = self.partitions.iter().position(|p| p.is(topic, number))?;
        Some(self.partitions.remove(at))
    }

    pub(crate) fn find(&mut self, topic: &str, number: i32) -> Option<&mut Partition> {
        let there = self.partitions.get(self.last);
        if there.is_none_or(|partition| !partition.is(topic, number)) {
            self.last = self.partitions.iter().position(|p| p.is(topic, number))?;
        }
        self.partitions.get_mut(self.last)
    }

    /// The partition of `place`; `None` when that assignment is over.
    pub(crate) fn of(&mut self, place: Place) -> Option<&mut Partition> {
        let found = self
            .partitions
            .binary_search_by_key(&place.epoch, |partition| partition.lender.epoch);
        self.partitions.get_mut(found.ok()?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.partitions.iter_mut()
    }

    pub(crate) fn unsettled(&self) -> usize {
        self.iter()
            .map(|partition| partition.mark.unsettled())
            .sum()
    }

    /// How many are begun, and neither settled nor waiting for their time.
    pub(crate) fn in_work(&self) -> usize {
        let in_work = |p: &Partition| p.mark.unsettled().saturating_sub(p.undue.records);
        self.iter().map(in_work).sum()
    }

    /// How many partitions there are.
    pub(crate) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(crate) fn on_loan(&self) -> usize {
        self.iter().map(|partition| partition.on_loan).sum()
    }

    /// True when a commit is on its way, or still to be sent.
    pub(crate) fn is_uncommitted(&self) -> bool {
        let open = |p: &Partition| p.mark.position().is_some_and(|at| at > p.confirmed);
        self.iter().any(open)
    }

    /// What is settled and not yet sent to the broker. Counts as sent from now on.
    pub(crate) fn take_uncommitted(&mut self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in &mut self.partitions {
            let Some(position) = partition.mark.position() else {
                continue;
            };
            if position <= partition.sent {
                continue;
            }
            let offset = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
            let added = list.add_partition_offset(&partition.topic, partition.number, offset);
            if added.is_ok() {
                partition.sent = position;
            }
        }
        list
    }

    /// The broker took these. Answers how far that moved what is committed.
    pub(crate) fn committed(&mut self, list: &TopicPartitionList) -> u64 {
        let mut moved = 0;
        for element in list.elements() {
            let Offset::Offset(offset) = element.offset() else {
                continue;
            };
            let Some(partition) = self.find(element.topic(), element.partition()) else {
                continue;
            };
            let offset = u64::try_from(offset).unwrap_or(0);
            moved += offset.saturating_sub(partition.confirmed);
            partition.confirmed = partition.confirmed.max(offset);
        }
        moved
    }

    /// A commit failed: whatever is not confirmed is to be sent again.
    pub(crate) fn commit_failed(&mut self) {
        for partition in &mut self.partitions {
            partition.sent = partition.confirmed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment() -> Assignment {
        let mut assignment = Assignment::new(Arc::default(), 100);
        assignment.add("orders", 0);
        assignment.add("orders", 1);
        assignment
    }

    fn begin(assignment: &mut Assignment, number: i32, offset: i64) -> Place {
        let partition = assignment.find("orders", number).unwrap();
        partition.begin(offset).unwrap()
    }

    #[test]
    fn only_what_is_settled_is_committed_and_once() {
        let mut assignment = assignment();
        let place = begin(&mut assignment, 1, 40);
        begin(&mut assignment, 1, 41);
        assert_eq!(
            assignment.take_uncommitted().count(),
            0,
            "nothing is settled"
        );
        assignment.of(place).unwrap().mark.settle(40);
        let list = assignment.take_uncommitted();
        let places = list.to_topic_map();
        assert_eq!(places[&("orders".to_owned(), 1)], Offset::Offset(41));
        assert_eq!(
            (places.len(), assignment.take_uncommitted().count()),
            (1, 0)
        );
        assert!(assignment.is_uncommitted());
        assert_eq!(assignment.committed(&list), 1);
        assert!(!assignment.is_uncommitted());
    }

    #[test]
    fn a_commit_that_failed_is_sent_again() {
        let mut assignment = assignment();
        let place = begin(&mut assignment, 0, 5);
        assignment.of(place).unwrap().mark.settle(5);
        assert_eq!(assignment.take_uncommitted().count(), 1);
        assignment.commit_failed();
        assert_eq!(assignment.take_uncommitted().count(), 1);
    }

    #[test]
    fn a_partition_that_came_back_does_not_know_its_former_records() {
        let mut assignment = assignment();
        let before = begin(&mut assignment, 0, 5);
        assignment.remove("orders", 0).unwrap();
        assignment.add("orders", 0);
        let after = begin(&mut assignment, 0, 5);
        assert!(assignment.of(before).is_none());
        assert_eq!(&*assignment.of(after).unwrap().topic, "orders");
    }

    #[test]
    fn a_record_is_taken_up_once_and_not_while_its_partition_is_given_up() {
        let mut assignment = assignment();
        begin(&mut assignment, 0, 5);
        let partition = assignment.find("orders", 0).unwrap();
        assert_eq!(partition.begin(5), None);
        partition.revoking = true;
        assert_eq!(partition.begin(6), None);
    }
}
