//! Events as they are stored, and the index of the active ones. An event records its index entries, so that exactly
//! those are removed whatever happens to it. An entry counts its events and is removed with the last one.

use compact_str::CompactString;

use crate::key::HashedKey;
use crate::table::Perishable;

/// An event.
#[derive(Debug)]
pub(crate) struct TrackedEvent {
    pub(crate) key: HashedKey,
    /// When it is forgotten, in nanoseconds.
    pub(crate) until: u64,
    pub(crate) state: CompactString,
    /// The keys of its index entries. Empty once the event has ended.
    pub(crate) entries: Box<[HashedKey]>,
}

impl TrackedEvent {
    /// The share of the bound that it takes.
    pub(crate) fn places(&self) -> usize {
        1 + self.entries.len()
    }
}

impl Perishable for TrackedEvent {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

/// An index entry: a type, or a type and a value.
#[derive(Debug)]
pub(crate) struct IndexEntry {
    pub(crate) key: HashedKey,
    /// The number of active events behind it.
    pub(crate) events: u64,
}

impl Perishable for IndexEntry {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, _: u64) -> bool {
        self.events == 0
    }
}
