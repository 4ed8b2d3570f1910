//! Tracks the records read from a partition: the next offset, and the fingerprints that identify the topic.

use std::collections::VecDeque;

use rdkafka::Message;

use crate::fingerprint::{Fingerprint, RecordMatch};
use crate::start_point::StartPoint;

/// How many fingerprints of unsettled records are kept. Each batch contributes one.
const KEPT_MAX: usize = 8;

/// The records read from one assigned partition.
#[derive(Debug)]
pub(crate) struct SeenRecords {
    /// No earlier offset follows unless the client seeks back.
    next: u64,
    /// If the first record is not this one, the topic was recreated.
    expected: Option<Fingerprint>,
    /// Records that may be unsettled, in ascending order.
    fingerprints: VecDeque<Fingerprint>,
    /// The last record below the settled position that has a fingerprint.
    last: Option<Fingerprint>,
    /// The next record's fingerprint must be kept.
    keeps_next: bool,
}

/// How a record relates to those read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuity {
    /// It comes after them.
    Next,
    /// It does not continue them: the topic was recreated or truncated.
    Recreated(ReadFrom),
}

/// Where to read a recreated topic from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// From this record: the client returned to the first record by itself.
    Here,
    /// From the first record: the client must be sent back to it.
    Head,
}

impl SeenRecords {
    pub(crate) fn new(start: &StartPoint) -> Self {
        Self {
            next: start.fetched_from(),
            expected: start.settled.landmark,
            fingerprints: VecDeque::new(),
            last: start.settled.landmark,
            keeps_next: true,
        }
    }

    /// Checks the next record read.
    pub(crate) fn check(&mut self, record: &impl Message) -> Continuity {
        let offset = u64::try_from(record.offset()).unwrap_or(0);
        if offset < self.next {
            return Continuity::Recreated(ReadFrom::Here);
        }
        self.next = offset + 1;
        let expected = self.expected.take();
        match expected.map(|expected| expected.compare(record)) {
            Some(RecordMatch::Other) => return Continuity::Recreated(ReadFrom::Head),
            Some(RecordMatch::Same | RecordMatch::Gone) | None => {}
        }
        if std::mem::take(&mut self.keeps_next) {
            self.fingerprints.truncate(KEPT_MAX - 1);
            self.fingerprints.push_back(Fingerprint::of(record));
        }
        Continuity::Next
    }

    /// Keeps the fingerprint of one record of the next batch as well.
    pub(crate) fn begin_batch(&mut self) {
        self.keeps_next = true;
    }

    /// The last record below the settled `position` that has a fingerprint. While there is none, the first record read.
    pub(crate) fn landmark(&mut self, position: u64) -> Option<Fingerprint> {
        while let Some(first) = self.fingerprints.pop_front_if(|f| f.offset < position) {
            self.last = Some(first);
        }
        let first = || self.fingerprints.front().copied();
        let is_read = |record: &Fingerprint| record.offset == position;
        self.last.or_else(|| first().filter(is_read))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedMessage;

    use super::*;
    use crate::fingerprint::tests::record as record_of;
    use crate::start_point::tests::start;

    fn record(offset: i64) -> OwnedMessage {
        record_of(offset, 7, "a")
    }

    #[test]
    fn later_offsets_continue_the_records_with_and_without_gaps() {
        let mut seen = SeenRecords::new(&start(0, 5, None));
        for offset in [5, 6, 9] {
            assert_eq!(seen.check(&record(offset)), Continuity::Next);
        }
    }

    #[test]
    fn a_client_that_goes_back_reads_a_topic_that_was_recreated() {
        let mut seen = SeenRecords::new(&start(0, 5, None));
        assert_eq!(
            seen.check(&record(4)),
            Continuity::Recreated(ReadFrom::Here)
        );
        let mut seen = SeenRecords::new(&start(0, 5, None));
        assert_eq!(seen.check(&record(5)), Continuity::Next);
        assert_eq!(
            seen.check(&record(5)),
            Continuity::Recreated(ReadFrom::Here)
        );
    }

    #[test]
    fn the_last_settled_record_comes_first_or_is_gone_or_differs() {
        let last = Fingerprint::of(&record(3));
        let seen = || SeenRecords::new(&start(0, 5, Some(last)));
        assert_eq!(seen().check(&record(3)), Continuity::Next);
        assert_eq!(seen().check(&record(7)), Continuity::Next);
        let other = record_of(3, 8, "a");
        assert_eq!(seen().check(&other), Continuity::Recreated(ReadFrom::Head));
        assert_eq!(
            seen().check(&record(0)),
            Continuity::Recreated(ReadFrom::Here)
        );
    }

    #[test]
    fn the_landmark_is_a_settled_record_of_the_last_batch() {
        let mut seen = SeenRecords::new(&start(0, 0, None));
        assert_eq!(seen.landmark(0), None);
        for offset in 0..40 {
            if offset % 2 == 0 {
                seen.begin_batch();
            }
            assert_eq!(seen.check(&record(offset)), Continuity::Next);
        }
        let of = |offset| Some(Fingerprint::of(&record(offset)));
        assert_eq!(seen.landmark(0), of(0), "nothing is settled");
        assert_eq!(seen.landmark(3), of(2));
        assert_eq!(seen.landmark(4), of(2));
        assert_eq!(seen.landmark(13), of(12));
        // Only the oldest fingerprints of unsettled records are kept, and the newest.
        assert_eq!(seen.landmark(38), of(12));
        assert_eq!(seen.landmark(39), of(38));
    }
}
