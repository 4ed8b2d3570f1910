//! The index of active events. An entry counts its events, and is kept for the longest grace after the last one has
//! ended.

use acteon_core::state::GRACE_MAX;

use crate::key::HashedKey;
use crate::table::{Perishable, SweptTable, nanos};

/// An index entry: a type, or a type and a value.
#[derive(Debug)]
struct IndexEntry {
    key: HashedKey,
    /// The number of active events behind it.
    active: u64,
    /// When an event behind it last ended, in nanoseconds.
    ended_at: Option<u64>,
}

impl IndexEntry {
    fn counts(&self, now: u64, grace: u64) -> bool {
        let is_recent = |ended_at| now < grace.saturating_add(ended_at);
        self.active > 0 || self.ended_at.is_some_and(is_recent)
    }
}

impl Perishable for IndexEntry {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        !self.counts(now, nanos(GRACE_MAX))
    }
}

#[derive(Default)]
pub(crate) struct EventIndex {
    entries: SweptTable<IndexEntry>,
    /// How many entries have no active event.
    ended: usize,
}

impl EventIndex {
    /// The share of the bound that is not counted with the events.
    pub(crate) fn places(&self) -> usize {
        self.ended
    }

    /// True if an active event has this entry, or one that ended less than `grace` ago had it.
    pub(crate) fn is_active(&self, key: HashedKey, now: u64, grace: u64) -> bool {
        let entry = self.entries.find(key);
        entry.is_some_and(|entry| entry.counts(now, grace))
    }

    /// Adds one event to this entry.
    pub(crate) fn add(&mut self, key: HashedKey) {
        let first = || IndexEntry {
            key,
            active: 0,
            ended_at: None,
        };
        let entry = self.entries.entry_or(key, first);
        if entry.active == 0 && entry.ended_at.is_some() {
            self.ended -= 1;
        }
        entry.active += 1;
    }

    /// Removes one event from this entry. `ended_at` if it has ended, and not lost the value.
    pub(crate) fn remove(&mut self, key: HashedKey, ended_at: Option<u64>) {
        let Some(entry) = self.entries.find_mut(key) else {
            return;
        };
        entry.active -= 1;
        entry.ended_at = entry.ended_at.max(ended_at);
        match (entry.active, entry.ended_at) {
            (0, None) => {
                self.entries.remove(key);
            }
            (0, Some(_)) => self.ended += 1,
            _ => {}
        }
    }

    pub(crate) fn sweep(&mut self, now: u64, buckets: usize) {
        let ended = &mut self.ended;
        self.entries.sweep(now, buckets, |_| *ended -= 1);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.bytes()
    }
}
