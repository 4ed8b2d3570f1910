//! Tracks the contiguous settled prefix of one stream whose messages are settled in any order. Uses eight bytes for
//! each message from the first unsettled one on.

use std::collections::VecDeque;
use std::ops::Range;

/// Marks an offset in the window as settled. Offsets are below this bit.
const SETTLED: u64 = 1 << 63;

/// The settled prefix of one stream, and the messages beyond it.
#[derive(Debug)]
pub struct Watermark {
    /// Offsets begun and not below the prefix, in ascending order. The first is unsettled.
    window: VecDeque<u64>,
    unsettled: usize,
    /// One past the last offset begun.
    end: Option<u64>,
    /// Offsets not yet begun that were settled before a restart, in ascending order.
    resumed: VecDeque<Range<u64>>,
    span_max: usize,
    moves: u64,
}

/// Whether a message must be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetStatus {
    /// It must be settled.
    Fresh,
    /// It or a later message was begun before: it must not be offered again.
    Repeated,
    /// It was settled before a restart, and is settled now.
    Settled,
}

impl Watermark {
    /// A stream of which nothing is known yet. It [`is_wide`](Self::is_wide) at `span_max` messages.
    pub fn new(span_max: usize) -> Self {
        Self {
            window: VecDeque::new(),
            unsettled: 0,
            end: None,
            resumed: VecDeque::new(),
            span_max,
            moves: 0,
        }
    }

    /// A stream in which everything below `position` is settled.
    pub fn starting_at(position: u64, span_max: usize) -> Self {
        Self {
            end: Some(position),
            ..Self::new(span_max)
        }
    }

    /// A stream in which everything below `position` is settled, and the ranges that [`beyond`](Self::beyond) returned
    /// before a restart.
    pub fn resuming(position: u64, beyond: &[Range<u64>], span_max: usize) -> Self {
        debug_assert!(beyond.is_sorted_by(|one, next| one.end <= next.start));
        Self {
            resumed: beyond.iter().cloned().collect(),
            ..Self::starting_at(position, span_max)
        }
    }

    /// Begins the message at `offset`. Offsets ascend and may leave gaps.
    pub fn begin(&mut self, offset: u64) -> OffsetStatus {
        debug_assert!(offset < SETTLED, "an offset of 63 bits");
        if self.end.is_some_and(|end| offset < end) {
            return OffsetStatus::Repeated;
        }
        self.take_up(offset);
        match self.was_settled(offset) {
            true => {
                self.settle(offset);
                OffsetStatus::Settled
            }
            false => OffsetStatus::Fresh,
        }
    }

    fn take_up(&mut self, offset: u64) {
        self.window.push_back(offset);
        self.moves += u64::from(self.unsettled == 0);
        self.unsettled += 1;
        self.end = Some(offset + 1);
    }

    /// True if the message begun now was settled before a restart.
    fn was_settled(&mut self, offset: u64) -> bool {
        let is_over = |range: &mut Range<u64>| range.end <= offset;
        while self.resumed.pop_front_if(is_over).is_some() {}
        let next = self.resumed.front();
        next.is_some_and(|range| range.contains(&offset))
    }

    /// The ranges settled beyond the prefix, in ascending order. A restart with these ranges repeats none of them.
    pub fn beyond(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut is_adjacent = false;
        for entry in &self.window {
            let offset = entry & !SETTLED;
            let is_settled = entry & SETTLED != 0;
            match ranges.last_mut() {
                Some(range) if is_settled && is_adjacent => range.end = offset + 1,
                _ if is_settled => ranges.push(offset..offset + 1),
                _ => {}
            }
            is_adjacent = is_settled;
        }
        let read_end = self.end.unwrap_or(0);
        let to_come = self.resumed.iter();
        let to_come = to_come.map(|range| range.start.max(read_end)..range.end);
        ranges.extend(to_come.filter(|range| !range.is_empty()));
        ranges
    }

    /// Settles the message at `offset`. True if the prefix grew. Ignores a message that is not unsettled.
    pub fn settle(&mut self, offset: u64) -> bool {
        let Some(index) = self.index_of(offset) else {
            return false;
        };
        self.window[index] |= SETTLED;
        self.moves += 1;
        self.unsettled -= 1;
        if index > 0 {
            return false;
        }
        while self
            .window
            .front()
            .is_some_and(|first| first & SETTLED != 0)
        {
            self.window.pop_front();
        }
        true
    }

    /// The next offset to read after a restart: everything below is settled. `None` before the first message.
    pub fn position(&self) -> Option<u64> {
        self.window.front().copied().or(self.end)
    }

    /// One past the last offset begun. `None` before the first message.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    /// How many messages are begun and not settled.
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Counts settled messages, and messages begun while none was unsettled. While it grows, the stream makes progress.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// How many messages a restart may repeat at most.
    pub fn span(&self) -> usize {
        self.window.len()
    }

    /// True if the owner should begin no more messages until the first unsettled one is settled.
    pub fn is_wide(&self) -> bool {
        self.window.len() >= self.span_max
    }

    /// True if at most half of the span is in use: an owner that stopped may continue.
    pub fn is_narrow(&self) -> bool {
        self.window.len() <= self.span_max / 2
    }

    /// The index of the unsettled `offset` in the window. Without gaps it is the distance from the first.
    fn index_of(&self, offset: u64) -> Option<usize> {
        let first = *self.window.front()?;
        let guess = usize::try_from(offset.checked_sub(first)?).ok()?;
        if self.window.get(guess) == Some(&offset) {
            return Some(guess);
        }
        let index = self
            .window
            .binary_search_by_key(&offset, |entry| entry & !SETTLED)
            .ok()?;
        (self.window[index] == offset).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_goes_on_where_it_was_settled() {
        let mut mark = Watermark::starting_at(7, 10);
        assert_eq!(mark.position(), Some(7));
        assert_eq!(mark.begin(6), OffsetStatus::Repeated);
        assert_eq!(mark.begin(7), OffsetStatus::Fresh);
        assert_eq!(mark.position(), Some(7));
        assert!(mark.settle(7));
        assert_eq!(mark.position(), Some(8));
    }

    #[test]
    fn a_stream_gets_on_while_messages_are_settled_and_not_while_they_pile_up() {
        let mut mark = Watermark::new(10);
        mark.begin(5);
        let begun = mark.moves();
        mark.begin(6);
        assert_eq!(mark.moves(), begun);
        mark.settle(6);
        let settled = mark.moves();
        assert_ne!(settled, begun);
        mark.settle(6);
        assert_eq!(mark.moves(), settled, "it was settled before");
    }

    #[test]
    fn the_position_never_passes_what_is_unsettled() {
        let mut mark = Watermark::new(10);
        assert_eq!(mark.position(), None);
        for offset in [5, 6, 9, 10] {
            assert_eq!(mark.begin(offset), OffsetStatus::Fresh);
        }
        assert!(!mark.settle(9), "5 is still on its way");
        assert_eq!(mark.position(), Some(5));
        assert!(mark.settle(5));
        assert_eq!(mark.position(), Some(6));
        assert!(mark.settle(6));
        assert_eq!(mark.position(), Some(10), "over the gap and over 9");
        assert!(mark.settle(10));
        assert_eq!((mark.position(), mark.unsettled()), (Some(11), 0));
    }

    #[test]
    fn what_was_begun_is_not_begun_again_and_what_was_settled_is_not_settled_again() {
        let mut mark = Watermark::new(10);
        mark.begin(5);
        mark.begin(7);
        for offset in [4, 5, 6, 7] {
            assert_eq!(mark.begin(offset), OffsetStatus::Repeated);
        }
        assert!(!mark.settle(7) && !mark.settle(7) && !mark.settle(6));
        assert_eq!((mark.unsettled(), mark.span()), (1, 2));
    }

    #[test]
    fn records_settled_beyond_the_prefix_form_ranges_that_span_gaps() {
        let mut mark = Watermark::new(10);
        for offset in [5, 6, 9, 10, 11, 12] {
            mark.begin(offset);
        }
        assert_eq!(mark.beyond(), []);
        for offset in [6, 9, 11, 12] {
            mark.settle(offset);
        }
        assert_eq!(mark.beyond(), [6..10, 11..13]);
        mark.begin(14);
        mark.begin(15);
        mark.settle(15);
        mark.settle(5);
        assert_eq!(mark.position(), Some(10));
        assert_eq!(mark.beyond(), [11..13, 15..16]);
    }

    #[test]
    fn what_was_settled_before_a_restart_is_not_offered_again_and_the_prefix_passes_it() {
        let mut mark = Watermark::resuming(5, &[6..8, 10..12, 20..21], 10);
        assert_eq!((mark.position(), mark.end()), (Some(5), Some(5)));
        assert_eq!(mark.begin(5), OffsetStatus::Fresh);
        assert_eq!(mark.begin(6), OffsetStatus::Settled);
        assert_eq!(mark.begin(6), OffsetStatus::Repeated);
        assert_eq!(mark.beyond(), [6..7, 7..8, 10..12, 20..21]);
        assert!(mark.settle(5));
        assert_eq!((mark.position(), mark.unsettled()), (Some(7), 0));
        assert_eq!(mark.begin(9), OffsetStatus::Fresh, "7 has gone");
        assert_eq!(mark.begin(11), OffsetStatus::Settled);
        assert_eq!(mark.begin(12), OffsetStatus::Fresh);
        assert_eq!(mark.beyond(), [11..12, 20..21]);
    }

    /// The same with a set of unsettled offsets.
    #[derive(Default)]
    struct Naive {
        unsettled: BTreeSet<u64>,
        begun: BTreeSet<u64>,
    }

    impl Naive {
        fn position(&self) -> Option<u64> {
            let first = self.unsettled.first().copied();
            first.or(self.begun.last().map(|last| last + 1))
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_what_is_unsettled(
            steps in prop::collection::vec((any::<bool>(), 0u64..4, 0usize..64), 0..400),
        ) {
            let mut mark = Watermark::new(16);
            let mut naive = Naive::default();
            let mut next = 100;
            for (begin, gap, chosen) in steps {
                if begin {
                    next += gap;
                    prop_assert_eq!(mark.begin(next), OffsetStatus::Fresh);
                    naive.unsettled.insert(next);
                    naive.begun.insert(next);
                    next += 1;
                } else {
                    let begun = naive.begun.iter().copied().nth_back(chosen);
                    let offset = begun.unwrap_or(chosen as u64);
                    let before = naive.position();
                    naive.unsettled.remove(&offset);
                    prop_assert_eq!(mark.settle(offset), naive.position() != before);
                }
                prop_assert_eq!(mark.position(), naive.position());
                prop_assert_eq!(mark.unsettled(), naive.unsettled.len());
                let beyond = naive.begun.iter().filter(|o| Some(**o) >= naive.position()).count();
                prop_assert_eq!(mark.span(), beyond);
                prop_assert_eq!(mark.is_wide(), beyond >= 16);
                prop_assert_eq!(mark.is_narrow(), beyond <= 8);
            }
            let Some(position) = mark.position() else { return Ok(()) };
            let mut resumed = Watermark::resuming(position, &mark.beyond(), 16);
            for offset in naive.begun.range(position..) {
                let is_fresh = resumed.begin(*offset) == OffsetStatus::Fresh;
                prop_assert_eq!(is_fresh, naive.unsettled.contains(offset));
            }
            prop_assert_eq!(resumed.beyond(), mark.beyond());
        }
    }
}
