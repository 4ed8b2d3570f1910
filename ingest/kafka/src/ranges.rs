//! The offsets settled beyond the committed one. They are committed as metadata, so that neither a stop nor a crash
//! repeats records that were settled above a waiting one.

use std::fmt::Write as _;
use std::ops::Range;

/// Ranges of settled offsets in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(crate) fn new(ranges: Vec<Range<u64>>) -> Self {
        Self(ranges)
    }

    pub(crate) fn as_slice(&self) -> &[Range<u64>] {
        &self.0
    }

    /// Drops all offsets from `end` on: no record has them yet.
    pub(crate) fn truncate(&mut self, end: u64) {
        self.0.retain_mut(|range| {
            range.end = range.end.min(end);
            !range.is_empty()
        });
    }

    /// The ranges as text: for each the gap since the previous range, `+`, and its length. `3+2,1+7` after `position`
    /// 10 means 13, 14 and 16 to 22. Includes as many ranges as fit in `bytes_max`; the records of the others are
    /// delivered again.
    pub(crate) fn to_text(&self, position: u64, bytes_max: usize) -> String {
        let mut text = String::new();
        let mut end = position;
        for range in &self.0 {
            let whole = text.len();
            let comma = if text.is_empty() { "" } else { "," };
            let between = range.start.saturating_sub(end);
            let _ = write!(text, "{comma}{between}+{}", range.end - range.start);
            if text.len() > bytes_max {
                text.truncate(whole);
                break;
            }
            end = range.end;
        }
        text
    }

    /// Parses the output of [`to_text`](Self::to_text). `None` for anything else.
    pub(crate) fn parse(text: &str, position: u64) -> Option<Self> {
        let mut ranges = Vec::new();
        let mut end = position;
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (between, length) = part.split_once('+')?;
            let start = end.checked_add(between.parse().ok()?)?;
            end = start.checked_add(length.parse().ok()?)?;
            ranges.push(start..end);
        }
        (end < 1 << 63).then_some(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_written_as_distances_and_lengths() {
        let ranges = Ranges::new(vec![13..15, 16..23]);
        assert_eq!(ranges.to_text(10, 100), "3+2,1+7");
        assert_eq!(Ranges::parse("3+2,1+7", 10), Some(ranges));
        assert_eq!(Ranges::parse("", 10), Some(Ranges::default()));
    }

    #[test]
    fn ranges_that_do_not_fit_are_left_out_and_other_text_is_refused() {
        let ranges = Ranges::new(vec![13..15, 16..23]);
        assert_eq!(ranges.to_text(10, 6), "3+2");
        for text in ["3", "a+1", "1+-1", "1+9223372036854775807", "1+1;1+1"] {
            assert_eq!(Ranges::parse(text, 10), None, "{text}");
        }
    }

    #[test]
    fn ranges_end_where_the_log_does() {
        let mut ranges = Ranges::new(vec![13..15, 16..23, 25..30]);
        ranges.truncate(20);
        assert_eq!(ranges, Ranges::new(vec![13..15, 16..20]));
    }

    proptest! {
        #[test]
        fn written_ranges_are_read_again(
            position in 0u64..1 << 40,
            steps in prop::collection::vec((0u64..1 << 20, 1u64..1 << 20), 0..50),
        ) {
            let mut end = position;
            let ranges = steps.iter().map(|(between, length)| {
                let start = end + between;
                end = start + length;
                start..end
            });
            let ranges = Ranges::new(ranges.collect());
            let text = ranges.to_text(position, usize::MAX);
            prop_assert_eq!(Ranges::parse(&text, position), Some(ranges));
        }
    }
}
