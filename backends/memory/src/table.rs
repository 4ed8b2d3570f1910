//! A hash table that drops expired entries a few buckets at a time as it is used. It needs no timer and no list of
//! expiry times, and each call does a bounded amount of work.

use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::key::HashedKey;

/// Durations as nanoseconds, the unit of all expiry times: 64 bits last 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An entry of a [`SweptTable`].
pub(crate) trait Perishable {
    fn key(&self) -> HashedKey;

    /// True if the entry has expired at `now`, in nanoseconds.
    fn is_over(&self, now: u64) -> bool;
}

pub(crate) struct SweptTable<T> {
    entries: HashTable<T>,
    /// The bucket at which the next sweep continues.
    swept_to: usize,
}

impl<T> Default for SweptTable<T> {
    fn default() -> Self {
        Self {
            entries: HashTable::new(),
            swept_to: 0,
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    pub(crate) fn find(&self, key: HashedKey) -> Option<&T> {
        self.entries.find(key.low, |entry| entry.key() == key)
    }

    pub(crate) fn find_mut(&mut self, key: HashedKey) -> Option<&mut T> {
        self.entries.find_mut(key.low, |entry| entry.key() == key)
    }

    /// Stores `entry` and returns the entry it replaced.
    pub(crate) fn put(&mut self, entry: T) -> Option<T> {
        let key = entry.key();
        let same = |there: &T| there.key() == key;
        match self.entries.entry(key.low, same, |there| there.key().low) {
            Entry::Occupied(mut there) => Some(std::mem::replace(there.get_mut(), entry)),
            Entry::Vacant(bucket) => {
                bucket.insert(entry);
                None
            }
        }
    }

    /// The entry under `key`, created by `first` if there is none.
    pub(crate) fn entry_or(&mut self, key: HashedKey, first: impl FnOnce() -> T) -> &mut T {
        let same = |there: &T| there.key() == key;
        let entry = self.entries.entry(key.low, same, |there| there.key().low);
        entry.or_insert_with(first).into_mut()
    }

    pub(crate) fn remove(&mut self, key: HashedKey) -> Option<T> {
        let found = self.entries.find_entry(key.low, |entry| entry.key() == key);
        found.ok().map(|entry| entry.remove().0)
    }

    /// Visits the next `buckets` and passes expired entries to `expired`.
    pub(crate) fn sweep(&mut self, now: u64, buckets: usize, mut expired: impl FnMut(T)) {
        let all = self.entries.num_buckets();
        for _ in 0..buckets.min(all) {
            self.swept_to = if self.swept_to < all {
                self.swept_to
            } else {
                0
            };
            let over = self
                .entries
                .get_bucket(self.swept_to)
                .is_some_and(|entry| entry.is_over(now));
            if over && let Ok(entry) = self.entries.get_bucket_entry(self.swept_to) {
                expired(entry.remove().0);
            }
            self.swept_to += 1;
        }
    }
}
