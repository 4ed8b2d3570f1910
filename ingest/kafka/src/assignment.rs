//! The partitions assigned to this member: how far each is settled and committed, and which records are on loan.

use std::sync::Arc;

use acteon_core::Receipt;
use acteon_core::delivery::Position;
use acteon_ingest_kit::{EpochOffset, EpochOrigin, OffsetStatus, Watermark};
use rdkafka::Message;

use crate::client_report::{ClientReport, ClientStats, SessionInbox};
use crate::ranges::Ranges;
use crate::seen::{Continuity, ReadFrom, SeenRecords};
use crate::start_point::{Extent, StartPoint};
use crate::undue::UndueRecords;

/// A partition, from its assignment until it is given up.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
    pub(crate) mark: Watermark,
    pub(crate) origin: Arc<EpochOrigin<ClientReport>>,
    /// Handed in or being published, and not settled.
    pub(crate) on_loan: usize,
    /// One past the last offset lent out. Everything below drains before the partition is given up, including records
    /// that wait behind a key. Each one left behind would be a gap between the settled ranges of the commit, and about
    /// 700 ranges fit in it: settled records in further ranges are delivered again.
    lent_end: u64,
    /// Records read from a delayed path topic that are not due yet.
    pub(crate) undue: UndueRecords,
    /// The broker has asked for the partition back: it is not read any more.
    pub(crate) revoking: bool,
    pub(crate) paused: bool,
    stream: Arc<str>,
    seen: SeenRecords,
    commits: Commits,
}

/// How far a partition is committed.
#[derive(Debug)]
struct Commits {
    /// The last commit sent.
    sent: Option<Extent>,
    /// The last commit confirmed. `None` after the topic was recreated: the broker's offset belongs to the former
    /// topic.
    confirmed: Option<Extent>,
}

/// What to do with a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordStatus {
    /// It must be settled.
    Fresh(EpochOffset),
    /// It was begun before, or its partition is being given up.
    Repeated,
    /// It was settled before a restart: more can be committed.
    Settled,
    /// The topic was recreated.
    Recreated(ReadFrom),
}

/// How far a partition is settled, ready to be committed.
#[derive(Clone, Debug)]
pub(crate) struct PartitionCommit {
    pub(crate) epoch: u32,
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
    pub(crate) settled: Extent,
    /// The extent the broker confirmed before.
    pub(crate) confirmed: Option<Extent>,
}

impl Partition {
    /// The position that records of this partition carry: `kafka:orders/3` and the offset.
    pub(crate) fn position(&self, offset: u64) -> Position {
        Position {
            stream: self.stream.clone(),
            offset: Some(offset),
        }
    }

    /// Registers a record that was read.
    pub(crate) fn take_up(&mut self, record: &impl Message) -> RecordStatus {
        match self.seen.check(record) {
            Continuity::Next => self.begin(record.offset()),
            Continuity::Recreated(from) => RecordStatus::Recreated(from),
        }
    }

    fn begin(&mut self, offset: i64) -> RecordStatus {
        let offset = u64::try_from(offset).unwrap_or(0);
        if self.revoking {
            return RecordStatus::Repeated;
        }
        let epoch = self.origin.epoch;
        match self.mark.begin(offset) {
            OffsetStatus::Fresh => RecordStatus::Fresh(EpochOffset { epoch, offset }),
            OffsetStatus::Repeated => RecordStatus::Repeated,
            OffsetStatus::Settled => RecordStatus::Settled,
        }
    }

    /// Takes the extent that is settled and not yet sent to the broker. Counts it as sent.
    fn take_uncommitted(&mut self) -> Option<PartitionCommit> {
        let mut settled = self.settled()?;
        let is_sent = |sent: &Extent| sent.is_as_far_as(&settled);
        if self.commits.sent.as_ref().is_some_and(is_sent) {
            return None;
        }
        settled.landmark = self.seen.landmark(settled.position);
        self.commits.sent = Some(settled.clone());
        Some(PartitionCommit {
            settled,
            ..self.committed()
        })
    }

    /// How far the partition is settled, without the landmark.
    fn settled(&self) -> Option<Extent> {
        Some(Extent {
            position: self.mark.position()?,
            landmark: None,
            beyond: Ranges::new(self.mark.beyond()),
        })
    }

    fn committed(&self) -> PartitionCommit {
        let confirmed = self.commits.confirmed.clone();
        PartitionCommit {
            epoch: self.origin.epoch,
            topic: self.topic.clone(),
            number: self.number,
            settled: confirmed.clone().unwrap_or_default(),
            confirmed,
        }
    }

    /// How many records are not settled: exact once everything readable has been read, otherwise the number of offsets
    /// left. `None` while the client does not know the end.
    pub(crate) fn lag(&self, stats: &ClientStats) -> Option<u64> {
        let offsets = stats.offsets(&self.topic, self.number)?;
        if offsets.is_all_delivered(self.paused) {
            return Some(self.mark.unsettled() as u64);
        }
        let end = offsets.readable_end()?;
        Some(end.saturating_sub(self.mark.position()?))
    }

    /// The extent the broker last confirmed.
    pub(crate) fn confirmed(&self) -> Option<&Extent> {
        self.commits.confirmed.as_ref()
    }

    /// True if more is settled than the broker has confirmed.
    fn is_uncommitted(&self) -> bool {
        match (self.settled(), self.confirmed()) {
            (Some(settled), Some(confirmed)) => !settled.is_as_far_as(confirmed),
            (settled, confirmed) => settled.is_some() || confirmed.is_some(),
        }
    }

    /// The label under which the partition's state is reported.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// True if only reading is left to do: everything read is settled, and more may be read.
    pub(crate) fn is_read_on(&self) -> bool {
        !self.paused && !self.revoking && self.mark.unsettled() == 0
    }

    /// The end of the offsets lent out.
    pub(crate) fn lent_end(&self) -> u64 {
        self.lent_end
    }

    /// Counts a record as lent out.
    pub(crate) fn lend(&mut self, at: EpochOffset) -> Receipt {
        self.on_loan += 1;
        self.lent_end = self.lent_end.max(at.offset + 1);
        Receipt::new(self.origin.clone(), at.offset)
    }

    /// Settles a record.
    pub(crate) fn settle(&mut self, offset: u64) {
        self.mark.settle(offset);
    }

    /// True if the partition itself needs a pause: too many of its records are unsettled or not due yet.
    pub(crate) fn is_strained(&self, undue_max: UndueRecords) -> bool {
        match self.paused {
            true => !self.mark.is_narrow() || self.undue.is_over_half(undue_max),
            false => self.mark.is_wide() || self.undue.reaches(undue_max),
        }
    }

    fn is(&self, topic: &str, number: i32) -> bool {
        self.number == number && *self.topic == *topic
    }
}

/// All assigned partitions, ordered by epoch.
pub(crate) struct Assignment {
    partitions: Vec<Partition>,
    /// The index of the last record's partition: the next record is usually in the same one.
    last: usize,
    next_epoch: u32,
    inbox: Arc<SessionInbox>,
    span_max: usize,
}

impl Assignment {
    pub(crate) fn new(inbox: Arc<SessionInbox>, span_max: usize) -> Self {
        Self {
            partitions: Vec::new(),
            last: 0,
            next_epoch: 0,
            inbox,
            span_max,
        }
    }

    /// Adds a partition under a fresh epoch.
    pub(crate) fn add(&mut self, start: &StartPoint) {
        let topic = &start.topic;
        let number = start.number;
        let settled = &start.settled;
        let origin = EpochOrigin {
            epoch: self.next_epoch,
            inbox: self.inbox.clone(),
        };
        self.next_epoch += 1;
        self.partitions.push(Partition {
            topic: topic.as_str().into(),
            number,
            mark: Watermark::resuming(settled.position, settled.beyond.as_slice(), self.span_max),
            origin: Arc::new(origin),
            on_loan: 0,
            lent_end: 0,
            undue: UndueRecords::default(),
            revoking: false,
            paused: false,
            stream: format!("kafka:{topic}/{number}").into(),
            seen: SeenRecords::new(start),
            commits: Commits {
                sent: Some(settled.clone()),
                confirmed: Some(settled.clone()),
            },
        });
    }

    /// Handles a recreated topic: a new epoch begins at `position`, and earlier settlements no longer count. Returns
    /// the position settled in the former topic.
    pub(crate) fn renew(&mut self, topic: &str, number: i32, position: u64) -> Option<u64> {
        let former = self.remove(topic, number)?;
        self.add(&StartPoint::recreated(topic, number, position));
        let partition = self.partitions.last_mut()?;
        partition.paused = former.paused;
        partition.revoking = former.revoking;
        partition.commits = Commits {
            sent: None,
            confirmed: None,
        };
        former.mark.position()
    }

    /// Recreates the objects that the records of a batch share. Other threads count the references of a batch down;
    /// sharing with the next batch would make the two contend.
    pub(crate) fn begin_batch(&mut self) {
        for partition in &mut self.partitions {
            partition.seen.begin_batch();
            partition.stream = Arc::from(&*partition.stream);
            partition.origin = Arc::new(EpochOrigin {
                epoch: partition.origin.epoch,
                inbox: self.inbox.clone(),
            });
        }
    }

    /// Removes a partition: settlements that arrive later are fenced.
    pub(crate) fn remove(&mut self, topic: &str, number: i32) -> Option<Partition> {
        let at = self.partitions.iter().position(|p| p.is(topic, number))?;
        Some(self.partitions.remove(at))
    }

    /// Removes the partition of an epoch.
    pub(crate) fn remove_epoch(&mut self, epoch: u32) -> Option<Partition> {
        let at = self.iter().position(|p| p.origin.epoch == epoch)?;
        Some(self.partitions.remove(at))
    }

    pub(crate) fn find(&mut self, topic: &str, number: i32) -> Option<&mut Partition> {
        let there = self.partitions.get(self.last);
        if there.is_none_or(|partition| !partition.is(topic, number)) {
            self.last = self.partitions.iter().position(|p| p.is(topic, number))?;
        }
        self.partitions.get_mut(self.last)
    }

    /// The partition of the record; `None` when that assignment is over.
    pub(crate) fn of(&mut self, at: EpochOffset) -> Option<&mut Partition> {
        self.of_epoch(at.epoch)
    }

    fn of_epoch(&mut self, epoch: u32) -> Option<&mut Partition> {
        let of = |partition: &Partition| partition.origin.epoch;
        let found = self.partitions.binary_search_by_key(&epoch, of);
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

    /// How many records are begun, and neither settled nor waiting until they are due.
    pub(crate) fn in_work(&self) -> usize {
        let in_work = |p: &Partition| p.mark.unsettled().saturating_sub(p.undue.count);
        self.iter().map(in_work).sum()
    }

    /// The number of partitions.
    pub(crate) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(crate) fn on_loan(&self) -> usize {
        self.iter().map(|partition| partition.on_loan).sum()
    }

    /// True if a commit is on its way or still has to be sent.
    pub(crate) fn is_uncommitted(&self) -> bool {
        self.iter().any(Partition::is_uncommitted)
    }

    /// Takes the extents that are settled and not yet sent to the broker. Counts them as sent.
    pub(crate) fn take_uncommitted(&mut self) -> Vec<PartitionCommit> {
        let partitions = self.partitions.iter_mut();
        partitions.filter_map(Partition::take_uncommitted).collect()
    }

    /// All extents that the broker should know.
    pub(crate) fn committed(&self) -> Vec<PartitionCommit> {
        let known = self.iter().filter(|p| p.confirmed().is_some());
        known.map(Partition::committed).collect()
    }

    /// Records that the broker accepted these commits. Returns by how many offsets the committed positions advanced.
    pub(crate) fn confirm(&mut self, sent: &[PartitionCommit]) -> u64 {
        let mut moved = 0;
        for PartitionCommit { epoch, settled, .. } in sent {
            if let Some(partition) = self.of_epoch(*epoch) {
                let before = partition.confirmed().map_or(0, |c| c.position);
                moved += settled.position.saturating_sub(before);
                partition.commits.confirmed = Some(settled.clone());
            }
        }
        moved
    }

    /// A commit failed: all unconfirmed extents will be sent again.
    pub(crate) fn commit_failed(&mut self) {
        for partition in &mut self.partitions {
            partition.commits.sent = partition.commits.confirmed.clone();
        }
    }
}

#[cfg(test)]
mod tests;
