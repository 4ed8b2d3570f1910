//! A hash table that drops expired entries a few buckets at a time as it is used. It needs no timer and no list of
//! expiry times, and each call does a bounded amount of work.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::key::Key;

/// An entry of a [`SweptTable`].
pub(crate) trait Perishable {
    fn key(&self) -> Key;

    /// True if the entry has expired at `now`, in nanoseconds.
    fn is_over(&self, now: u64) -> bool;
}

pub(crate) struct SweptTable<T> {
    entries: HashTable<T>,
    /// The bucket at which the next sweep continues.
    broom: usize,
}

impl<T> Default for SweptTable<T> {
    fn default() -> Self {
        Self {
            entries: HashTable::new(),
            broom: 0,
        }
    }
}

impl<T: Perishable> SweptTable<T> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The memory of the table itself, including free buckets.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    pub(crate) fn find(&self, key: Key) -> Option<&T> {
        self.entries.find(key.low, |entry| entry.key() == key)
    }

    pub(crate) fn find_mut(&mut self, key: Key) -> Option<&mut T> {
        self.entries.find_mut(key.low, |entry| entry.key() == key)
    }

    /// Stores `entry` and returns the entry it replaced.
    pub(crate) fn put(&mut self, entry: T) -> Option<T> {
        let key = entry.key();
        let same = |there: &T| there.key() == key;
        match self.entries.entry(key.low, same, |there| there.key().low) {
            Entry::Occupied(mut there) => Some(std::mem::replace(there.get_mut(), entry)),
            Entry::Vacant(place) => {
                place.insert(entry);
                None
            }
        }
    }

    /// The entry under `key`, created by `first` if there is none.
    pub(crate) fn entry_or(&mut self, key: Key, first: impl FnOnce() -> T) -> &mut T {
        let same = |there: &T| there.key() == key;
        let entry = self.entries.entry(key.low, same, |there| there.key().low);
        entry.or_insert_with(first).into_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let found = self.entries.find_entry(key.low, |entry| entry.key() == key);
        found.ok().map(|entry| entry.remove().0)
    }

    /// Visits the next `buckets` and passes expired entries to `gone`.
    pub(crate) fn sweep(&mut self, now: u64, buckets: usize, mut gone: impl FnMut(T)) {
        let all = self.entries.num_buckets();
        for _ in 0..buckets.min(all) {
            self.broom = if self.broom < all { self.broom } else { 0 };
            let over = self
                .entries
                .get_bucket(self.broom)
                .is_some_and(|entry| entry.is_over(now));
            if over && let Ok(entry) = self.entries.get_bucket_entry(self.broom) {
                gone(entry.remove().0);
            }
            self.broom += 1;
        }
    }
}
