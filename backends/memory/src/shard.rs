//! One part of the keys behind one lock: leases, dedup records, throttle logs, tallies and events, with their bound.
//! Remembered outcomes have a separate bound.

use std::sync::Arc;

use acteon_core::ActionOutcome;
use acteon_core::state::{StoredEvent, TallyCount, Token};

use crate::event_index::EventIndex;
use crate::event_table::{EventEntry, EventTable};
use crate::key::HashedKey;
use crate::places::HeldPlaces;
use crate::quota::{QuotaBound, QuotaLog};
use crate::record::{KeyRecord, KeyStatus};
use crate::remembered::{RememberedLimits, RememberedOutcomes};
use crate::table::SweptTable;
use crate::tally::{TallyLog, TallyWindow};

/// The number of buckets swept for each new key. If as many keys expire as arrive, expired ones take at most a quarter
/// of a table.
const SWEEP_PER_KEY: usize = 4;
/// The number of buckets swept before a full shard refuses a new key.
const SWEEP_WHEN_FULL: usize = 1024;
/// The number of buckets swept before a count is dropped. This must not cost more than keeping the count.
const SWEEP_PER_COUNT: usize = 64;
/// One eighth of the keys is reserved for reservations, so that actions continue however much is counted and written.
const RESERVED_SHARE: usize = 8;

/// The bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardLimits {
    pub(crate) keys: usize,
    pub(crate) remembered: RememberedLimits,
}

/// One shard.
pub(crate) struct Shard {
    records: SweptTable<KeyRecord>,
    quotas: SweptTable<QuotaLog>,
    /// In the shard of the hold's first quota.
    places: SweptTable<HeldPlaces>,
    tallies: SweptTable<TallyLog>,
    pub(crate) events: EventTable,
    /// The index of active events. An entry is in the shard of its key.
    pub(crate) index: EventIndex,
    remembered: RememberedOutcomes,
    limits: ShardLimits,
}

impl Shard {
    pub(crate) fn new(limits: ShardLimits) -> Self {
        Self {
            records: SweptTable::default(),
            quotas: SweptTable::default(),
            places: SweptTable::default(),
            tallies: SweptTable::default(),
            events: EventTable::default(),
            index: EventIndex::default(),
            remembered: RememberedOutcomes::new(limits.remembered),
            limits,
        }
    }

    /// True if there is a record under `key`, in force or expired.
    pub(crate) fn knows(&self, key: HashedKey) -> bool {
        self.records.find(key).is_some()
    }

    /// The record in force under `key`.
    pub(crate) fn in_force(&self, key: HashedKey, now: u64) -> Option<&KeyRecord> {
        self.records.find(key).filter(|record| now < record.until)
    }

    /// True if there is room for a record under `key`.
    pub(crate) fn fits_record(&mut self, key: HashedKey, now: u64) -> bool {
        self.has_room(now) || self.knows(key)
    }

    /// True if there is room for a throttle log under `key`.
    pub(crate) fn fits_quota(&mut self, key: HashedKey, now: u64) -> bool {
        self.has_room(now) || self.quotas.find(key).is_some()
    }

    /// True if there is room for the throttle places of a hold.
    pub(crate) fn fits_hold(&mut self, token: Token, now: u64) -> bool {
        self.has_room(now) || self.places(token).is_some()
    }

    /// True if there is room for one more key.
    pub(crate) fn has_room(&mut self, now: u64) -> bool {
        let has_room = |shard: &Self| shard.len() < shard.limits.keys;
        if !has_room(self) {
            self.sweep(now, SWEEP_WHEN_FULL);
        }
        has_room(self)
    }

    pub(crate) fn len(&self) -> usize {
        let reserved = self.records.len() + self.quotas.len() + self.places.len();
        reserved + self.tallies.len() + self.events.places() + self.index.places()
    }

    /// Takes `key` until the given time for the hold of `token`, and sweeps some expired entries.
    pub(crate) fn take(&mut self, key: HashedKey, token: Token, now: u64, until: u64) {
        let status = KeyStatus::Pending(token);
        self.records.put(KeyRecord { key, until, status });
        self.sweep(now, SWEEP_PER_KEY);
    }

    /// Ends the hold of `token` under `key`, in force or recently expired. Leaves a status until the given time, or
    /// nothing. False if the token holds nothing there.
    pub(crate) fn end(
        &mut self,
        key: HashedKey,
        token: Token,
        left: Option<(KeyStatus, u64)>,
    ) -> bool {
        let record = self.records.find_mut(key);
        let Some(record) = record.filter(|record| record.is_held_by(token)) else {
            return false;
        };
        match left {
            Some((status, until)) => {
                record.status = status;
                record.until = until;
            }
            None => {
                self.records.remove(key);
            }
        }
        true
    }

    /// The outcome remembered under `key`.
    pub(crate) fn recall(&self, key: HashedKey, now: u64) -> Option<&ActionOutcome> {
        self.remembered.find(key, now)
    }

    /// Remembers an outcome until the given time.
    pub(crate) fn remember(
        &mut self,
        key: HashedKey,
        outcome: ActionOutcome,
        now: u64,
        until: u64,
    ) {
        self.remembered.put(key, outcome, until, now);
    }

    /// Extends a record that is in force and held by this token.
    pub(crate) fn prolong(&mut self, key: HashedKey, token: Token, now: u64, until: u64) -> bool {
        let record = self.records.find_mut(key);
        match record.filter(|record| record.is_held_by(token) && now < record.until) {
            Some(record) => {
                record.until = until;
                true
            }
            None => false,
        }
    }

    /// The throttle places that the hold of `token` has, or had until recently.
    pub(crate) fn places(&mut self, token: Token) -> Option<&mut HeldPlaces> {
        self.places.find_mut(HashedKey::of(token))
    }

    /// Keeps the places of a hold until it ends, and sweeps some expired entries.
    pub(crate) fn keep_places(&mut self, places: HeldPlaces) {
        self.sweep(places.taken_at, SWEEP_PER_KEY);
        self.places.put(places);
    }

    /// Ends the hold of `token` on its places.
    pub(crate) fn take_places(&mut self, token: Token) -> Option<HeldPlaces> {
        self.places.remove(HashedKey::of(token))
    }

    /// Nanoseconds until one more besides `more` fits under `key`. `None` if it fits now.
    pub(crate) fn quota_wait(
        &mut self,
        key: HashedKey,
        bound: QuotaBound,
        now: u64,
        more: u32,
    ) -> Option<u64> {
        match self.quotas.find_mut(key) {
            Some(log) => log.wait(bound, now, more),
            None => QuotaLog::new(key).wait(bound, now, more),
        }
    }

    /// How many places are left under `key`, and nanoseconds until all are free.
    pub(crate) fn quota_left(&mut self, key: HashedKey, bound: QuotaBound, now: u64) -> (u32, u64) {
        match self.quotas.find_mut(key) {
            Some(log) => log.left(bound, now),
            None => (bound.max_count, 0),
        }
    }

    /// Takes a place under `key`. Sweeps some expired entries if the key is new.
    pub(crate) fn charge(&mut self, key: HashedKey, bound: QuotaBound, now: u64) {
        if let Some(log) = self.quotas.find_mut(key) {
            log.charge(bound, now);
            return;
        }
        self.sweep(now, SWEEP_PER_KEY);
        let mut log = QuotaLog::new(key);
        log.charge(bound, now);
        self.quotas.put(log);
    }

    /// Refunds the place under `key` that was taken at this time.
    pub(crate) fn refund(&mut self, key: HashedKey, bound: QuotaBound, now: u64, taken_at: u64) {
        if let Some(log) = self.quotas.find_mut(key) {
            log.refund(bound, now, taken_at);
        }
    }

    pub(crate) fn tallied(&self, key: HashedKey, window: TallyWindow, now: u64) -> TallyCount {
        let log = self.tallies.find(key);
        log.map_or_else(TallyCount::default, |log| log.read(window, now))
    }

    /// Counts one under `key`. False if the key is new and there is no room.
    pub(crate) fn count(&mut self, key: HashedKey, window: TallyWindow, now: u64) -> bool {
        if let Some(log) = self.tallies.find_mut(key) {
            log.add(window, now);
            return true;
        }
        let has_room = self.has_places(1) || {
            self.sweep(now, SWEEP_PER_COUNT);
            self.has_places(1)
        };
        if has_room {
            self.sweep(now, SWEEP_PER_KEY);
            let mut log = TallyLog::new(key);
            log.add(window, now);
            self.tallies.put(log);
        }
        has_room
    }

    pub(crate) fn event(&self, key: HashedKey, now: u64) -> Option<Arc<StoredEvent>> {
        Some(self.events.find(key, now)?.event.clone())
    }

    /// True if events may take `more` places.
    pub(crate) fn fits_places(&mut self, more: usize, now: u64) -> bool {
        if !self.has_places(more) {
            self.sweep(now, SWEEP_WHEN_FULL);
        }
        self.has_places(more)
    }

    fn has_places(&self, more: usize) -> bool {
        self.len() + more <= self.limits.keys - self.limits.keys / RESERVED_SHARE
    }

    /// Stores an event and returns the index entries of the one it replaces. Sweeps some expired entries.
    pub(crate) fn put_event(&mut self, entry: EventEntry, now: u64) -> Box<[HashedKey]> {
        let before = self.events.put(entry);
        self.sweep(now, SWEEP_PER_KEY);
        before
    }

    /// The memory of all keys together.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let logs: usize = self.quotas.iter().map(QuotaLog::heap_bytes).sum();
        let tallies: usize = self.tallies.iter().map(TallyLog::heap_bytes).sum();
        let remembered = self.remembered.size().1;
        let reserved =
            self.records.bytes() + remembered + self.quotas.bytes() + logs + self.places.bytes();
        reserved + self.tallies.bytes() + tallies + self.events.bytes() + self.index.bytes()
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.remembered.size().0
    }

    fn sweep(&mut self, now: u64, buckets: usize) {
        self.records.sweep(now, buckets, drop);
        self.quotas.sweep(now, buckets, drop);
        self.places.sweep(now, buckets, drop);
        self.tallies.sweep(now, buckets, drop);
        self.events.sweep(now, buckets);
        self.index.sweep(now, buckets);
    }
}
