//! The events of a shard with their timers. An event records its index entries, so that exactly those are removed
//! whatever happens to it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use acteon_core::state::{StoredEvent, Token};

use crate::key::HashedKey;
use crate::table::{Perishable, SweptTable};

/// The time of a timer that is not set.
pub(crate) const NEVER: u64 = u64::MAX;

/// An event. Times are in nanoseconds since the start.
#[derive(Debug)]
pub(crate) struct EventEntry {
    pub(crate) key: HashedKey,
    /// When it is forgotten.
    pub(crate) until: u64,
    /// When its timer is due.
    pub(crate) due: u64,
    pub(crate) event: Arc<StoredEvent>,
    /// The hold that wrote it.
    pub(crate) written_by: Token,
    /// The keys of its index entries. Empty once the event has ended.
    pub(crate) entries: Box<[HashedKey]>,
}

impl EventEntry {
    /// The share of the bound that it takes.
    pub(crate) fn places(&self) -> usize {
        1 + self.entries.len()
    }
}

impl Perishable for EventEntry {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

#[derive(Default)]
pub(crate) struct EventTable {
    events: SweptTable<EventEntry>,
    /// The events whose timers are set, by due time.
    timers: BTreeSet<(u64, HashedKey)>,
    /// The events that were taken because they were due, and not written since.
    taken: HashMap<HashedKey, Token>,
    /// The number of index entries of all events, in whichever shard they are.
    index_entries: usize,
}

impl EventTable {
    /// The share of the bound that all events take.
    pub(crate) fn places(&self) -> usize {
        self.events.len() + self.index_entries
    }

    pub(crate) fn find(&self, key: HashedKey, now: u64) -> Option<&EventEntry> {
        self.events.find(key).filter(|event| now < event.until)
    }

    pub(crate) fn iter(&self, now: u64) -> impl Iterator<Item = &Arc<StoredEvent>> {
        let kept = self.events.iter().filter(move |event| now < event.until);
        kept.map(|entry| &entry.event)
    }

    /// Stores an event and returns the index entries of the one it replaces.
    pub(crate) fn put(&mut self, entry: EventEntry) -> Box<[HashedKey]> {
        let key = entry.key;
        let due = entry.due;
        self.index_entries += entry.entries.len();
        let before = self.events.put(entry);
        if let Some(before) = &before {
            self.timers.remove(&(before.due, key));
            self.taken.remove(&key);
            self.index_entries -= before.entries.len();
        }
        if due != NEVER {
            self.timers.insert((due, key));
        }
        before.map(|event| event.entries).unwrap_or_default()
    }

    /// When the earliest timer is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// What this token has taken.
    pub(crate) fn taken_with(
        &self,
        token: Token,
        now: u64,
    ) -> impl Iterator<Item = &Arc<StoredEvent>> {
        let taken = self.taken.iter().filter(move |(_, by)| **by == token);
        taken.filter_map(move |(key, _)| Some(&self.find(*key, now)?.event))
    }

    /// Takes the event whose timer is due first, until the given time. `None` if none is due.
    pub(crate) fn take_due(
        &mut self,
        now: u64,
        until: u64,
        token: Token,
    ) -> Option<Arc<StoredEvent>> {
        loop {
            let (due, key) = *self.timers.first().filter(|(due, _)| *due <= now)?;
            self.timers.remove(&(due, key));
            let entry = self.events.find_mut(key).filter(|event| now < event.until);
            if let Some(entry) = entry {
                entry.due = until;
                let event = entry.event.clone();
                self.timers.insert((until, key));
                self.taken.insert(key, token);
                return Some(event);
            }
        }
    }

    /// Removes expired events, and their timers.
    pub(crate) fn sweep(&mut self, now: u64, buckets: usize) {
        let timers = &mut self.timers;
        let taken = &mut self.taken;
        self.events.sweep(now, buckets, |expired| {
            timers.remove(&(expired.due, expired.key));
            taken.remove(&expired.key);
        });
    }

    /// The memory of the table, the timers and the lists of index entries. The events themselves are not counted.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.events.bytes() + self.index_entries * size_of::<HashedKey>()
    }
}
