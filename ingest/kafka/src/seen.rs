//! What was read of a partition: which offset comes next, and by which of its records it is known again.

use std::collections::VecDeque;

use rdkafka::Message;

use crate::fingerprint::{Fingerprint, Found};
use crate::starts::Start;

/// Of so many records that are not settled the fingerprint is kept: of one in each batch.
const KEPT_MAX: usize = 8;

/// What was read of one assigned partition.
#[derive(Debug)]
pub(crate) struct Seen {
    /// No earlier offset comes, unless the client was sent back.
    next: u64,
    /// The first record is this one, or the topic was made anew.
    expected: Option<Fingerprint>,
    /// Records that may be unsettled, rising.
    fingerprints: VecDeque<Fingerprint>,
    /// The last record below what is settled that has a fingerprint.
    last: Option<Fingerprint>,
    /// The next record's fingerprint is to be kept.
    is_due: bool,
}

/// What a record is to those that were read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// It comes after them.
    Next,
    /// It does not belong to them: the topic was made anew, or cut.
    Anew(ReadFrom),
}

/// From where a topic that was made anew is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// From this record on: the client went back to the first one by itself.
    Here,
    /// From its first record, to which the client has to be sent back.
    Head,
}

impl Seen {
    pub(crate) fn new(start: &Start) -> Self {
        Self {
            next: start.fetched_from(),
            expected: start.settled.landmark,
            fingerprints: VecDeque::new(),
            last: start.settled.landmark,
            is_due: true,
        }
    }

    /// Looks at the record that was read next.
    pub(crate) fn meet(&mut self, record: &impl Message) -> Met {
        let offset = u64::try_from(record.offset()).unwrap_or(0);
        if offset < self.next {
            return Met::Anew(ReadFrom::Here);
        }
        self.next = offset + 1;
        let expected = self.expected.take();
        match expected.map(|expected| expected.find(record)) {
            Some(Found::Other) => return Met::Anew(ReadFrom::Head),
            Some(Found::Same | Found::Gone) | None => {}
        }
        if std::mem::take(&mut self.is_due) {
            self.fingerprints.truncate(KEPT_MAX - 1);
            self.fingerprints.push_back(Fingerprint::of(record));
        }
        Met::Next
    }

    /// One record of the next batch is kept in mind, too.
    pub(crate) fn begin_batch(&mut self) {
        self.is_due = true;
    }

    /// The last record with a fingerprint below `position`, where what is settled ends; before there is one, the first
    /// record that was read.
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
    use crate::starts::tests::start;

    fn record(offset: i64) -> OwnedMessage {
        record_of(offset, 7, "a")
    }

    #[test]
    fn what_comes_after_what_was_read_is_next_with_and_without_gaps() {
        let mut seen = Seen::new(&start(0, 5, None));
        for offset in [5, 6, 9] {
            assert_eq!(seen.meet(&record(offset)), Met::Next);
        }
    }

    #[test]
    fn a_client_that_goes_back_reads_a_topic_that_was_made_anew() {
        let mut seen = Seen::new(&start(0, 5, None));
        assert_eq!(seen.meet(&record(4)), Met::Anew(ReadFrom::Here));
        let mut seen = Seen::new(&start(0, 5, None));
        assert_eq!(seen.meet(&record(5)), Met::Next);
        assert_eq!(seen.meet(&record(5)), Met::Anew(ReadFrom::Here));
    }

    #[test]
    fn the_last_settled_record_is_met_first_or_has_gone_or_is_another() {
        let last = Fingerprint::of(&record(3));
        let seen = || Seen::new(&start(0, 5, Some(last)));
        assert_eq!(seen().meet(&record(3)), Met::Next);
        assert_eq!(seen().meet(&record(7)), Met::Next);
        let other = record_of(3, 8, "a");
        assert_eq!(seen().meet(&other), Met::Anew(ReadFrom::Head));
        assert_eq!(seen().meet(&record(0)), Met::Anew(ReadFrom::Here));
    }

    #[test]
    fn what_is_settled_is_known_again_by_a_record_of_its_last_batch() {
        let mut seen = Seen::new(&start(0, 0, None));
        assert_eq!(seen.landmark(0), None);
        for offset in 0..40 {
            if offset % 2 == 0 {
                seen.begin_batch();
            }
            assert_eq!(seen.meet(&record(offset)), Met::Next);
        }
        let of = |offset| Some(Fingerprint::of(&record(offset)));
        assert_eq!(seen.landmark(0), of(0), "nothing is settled");
        assert_eq!(seen.landmark(3), of(2));
        assert_eq!(seen.landmark(4), of(2));
        assert_eq!(seen.landmark(13), of(12));
        // Of those that were not settled only so many are kept, and the last of them.
        assert_eq!(seen.landmark(38), of(12));
        assert_eq!(seen.landmark(39), of(38));
    }
}
