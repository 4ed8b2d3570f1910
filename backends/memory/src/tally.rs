//! One tally: how often actions were counted under a key inside its window, and when the last one was.
//!
//! The window is divided into [`PARTS`] parts with separate counts. A part counts until its last moment has left the
//! window. The total is never too low, and too high by at most the count of one part.

use acteon_core::state::TallyCount;
use smallvec::SmallVec;
use std::time::Duration;

use crate::key::HashedKey;
use crate::table::Perishable;

/// The number of parts per window.
const PARTS: u64 = 16;
/// The number of parts that can overlap a window, which seldom starts where a part does.
const COUNTS_MAX: usize = PARTS as usize + 1;

/// The window of a tally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TallyWindow {
    within: u64,
    /// Nanoseconds per part, rounded up.
    part: u64,
}

impl TallyWindow {
    pub(crate) fn new(within_nanos: u64) -> Self {
        let within = within_nanos.clamp(1, u64::MAX / 4);
        Self {
            within,
            part: within.div_ceil(PARTS),
        }
    }

    /// The number of parts that begin between the two times. At most [`PARTS`] if they are less than a window apart.
    fn parts_between(self, earlier: u64, later: u64) -> usize {
        let parts = later / self.part - earlier / self.part;
        usize::try_from(parts).unwrap_or(usize::MAX)
    }
}

/// The counts under one key.
#[derive(Debug)]
pub(crate) struct TallyLog {
    key: HashedKey,
    /// When the last entry leaves the window, in nanoseconds.
    until: u64,
    /// The count of each part, oldest first. The newest is the part of the last entry.
    counts: SmallVec<[u32; 4]>,
}

impl TallyLog {
    pub(crate) fn new(key: HashedKey) -> Self {
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

    pub(crate) fn add(&mut self, window: TallyWindow, now: u64) {
        if now >= self.until {
            self.counts.clear();
        }
        let new_parts = match self.counts.len() {
            0 => 1,
            _ => window.parts_between(self.until - window.within, now),
        };
        self.begin(new_parts);
        if let Some(newest) = self.counts.last_mut() {
            *newest = newest.saturating_add(1);
        }
        self.until = now + window.within;
    }

    pub(crate) fn read(&self, window: TallyWindow, now: u64) -> TallyCount {
        if now >= self.until {
            return TallyCount::default();
        }
        let last = self.until - window.within;
        let inside = COUNTS_MAX.saturating_sub(window.parts_between(last, now));
        let counts = self.counts.iter().rev().take(inside);
        TallyCount {
            count: counts.map(|count| u64::from(*count)).sum(),
            last: Some(Duration::from_nanos(now - last)),
        }
    }

    /// Starts this many parts and drops the parts that can no longer overlap the window.
    fn begin(&mut self, parts: usize) {
        let length = self.counts.len() + parts;
        let left = length.saturating_sub(COUNTS_MAX).min(self.counts.len());
        self.counts.drain(..left);
        self.make_room(parts);
        self.counts.extend(std::iter::repeat_n(0, parts));
    }

    /// Grows by half, up to the size of a full window. Doubling would waste a third of all memory.
    fn make_room(&mut self, more: usize) {
        let length = self.counts.len();
        let capacity = self.counts.capacity();
        if length + more > capacity {
            let wanted = (capacity + capacity / 2).min(COUNTS_MAX).max(length + more);
            self.counts.reserve_exact(wanted - length);
        }
    }
}

impl Perishable for TallyLog {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests;
