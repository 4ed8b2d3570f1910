//! One tally: how often actions were noted under a key inside its window, and when the last one was.
//!
//! The window is cut into [`PARTS`] parts that are counted apart. A part counts until the last moment of it has left
//! the window: never too few, and too many by what was noted within one part at most.

use acteon_core::state::Tallied;
use smallvec::SmallVec;
use std::time::Duration;

use crate::key::Key;
use crate::table::Perishable;

/// How finely a window is told apart.
const PARTS: u64 = 16;
/// As many parts as can touch a window: it seldom begins where a part does.
const COUNTS_MAX: usize = PARTS as usize + 1;

/// The window of a tally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    within: u64,
    /// Nanoseconds of a part, rounded up.
    part: u64,
}

impl Span {
    pub(crate) fn new(within_nanos: u64) -> Self {
        let within = within_nanos.clamp(1, u64::MAX / 4);
        Self {
            within,
            part: within.div_ceil(PARTS),
        }
    }

    /// How many parts begin between the two times. At most [`PARTS`] when they are less than a window apart.
    fn parts_between(self, earlier: u64, later: u64) -> usize {
        let parts = later / self.part - earlier / self.part;
        usize::try_from(parts).unwrap_or(usize::MAX)
    }
}

/// What was noted under one key.
#[derive(Debug)]
pub(crate) struct TallyLog {
    key: Key,
    /// When the last note leaves the window, in nanoseconds.
    until: u64,
    /// How many were noted in each part, oldest first; the newest is the one of the last note.
    counts: SmallVec<[u32; 4]>,
}

impl TallyLog {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            until: 0,
            counts: SmallVec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        if self.counts.spilled() {
            4 * self.counts.capacity()
        } else {
            0
        }
    }

    pub(crate) fn add(&mut self, span: Span, now: u64) {
        if now >= self.until {
            self.counts.clear();
        }
        let begun = match self.counts.len() {
            0 => 1,
            _ => span.parts_between(self.until - span.within, now),
        };
        self.begin(begun);
        if let Some(newest) = self.counts.last_mut() {
            *newest = newest.saturating_add(1);
        }
        self.until = now + span.within;
    }

    pub(crate) fn read(&self, span: Span, now: u64) -> Tallied {
        if now >= self.until {
            return Tallied::default();
        }
        let last = self.until - span.within;
        let inside = COUNTS_MAX.saturating_sub(span.parts_between(last, now));
        let counts = self.counts.iter().rev().take(inside);
        Tallied {
            count: counts.map(|count| u64::from(*count)).sum(),
            last: Some(Duration::from_nanos(now - last)),
        }
    }

    /// Begins so many parts, and forgets those that can touch the window no more.
    fn begin(&mut self, parts: usize) {
        let length = self.counts.len() + parts;
        let left = length.saturating_sub(COUNTS_MAX).min(self.counts.len());
        self.counts.drain(..left);
        self.make_room(parts);
        self.counts.extend(std::iter::repeat_n(0, parts));
    }

    /// Grows by half, and not beyond what a full window needs: doubling would waste a third of all memory.
    fn make_room(&mut self, more: usize) {
        let (length, room) = (self.counts.len(), self.counts.capacity());
        if length + more > room {
            let wanted = (room + room / 2).min(COUNTS_MAX).max(length + more);
            self.counts.reserve_exact(wanted - length);
        }
    }
}

impl Perishable for TallyLog {
    fn key(&self) -> Key {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests;
