//! One part of the keys behind one lock: leases, dedup records and throttle logs, and how much of them may be kept.

use std::collections::{HashSet, VecDeque};

use acteon_core::ActionOutcome;

use crate::key::Key;
use crate::quota::{Bound, QuotaLog};
use crate::table::{Perishable, SweptTable};

/// How many buckets are looked into for each key that is taken. When as many come as go, what is over takes at most a
/// quarter of a table.
const SWEEP_PER_KEY: usize = 4;
/// How many buckets are looked into before a full shard refuses a new key.
const SWEEP_WHEN_FULL: usize = 1024;
/// How long a lease that ran out is still known, so that a delivery which outlived it can be confirmed.
const AFTERLIFE: u64 = 60_000_000_000;
/// How many refunds are known, so that none is given twice.
const REFUNDS_MAX: usize = 4096;

/// The bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) keys: usize,
    pub(crate) remembered_bytes: usize,
}

/// A place that a grant has taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    pub(crate) fence: u64,
    /// Which of the grant's quotas.
    pub(crate) quota: usize,
    /// When, in nanoseconds.
    pub(crate) at: u64,
}

/// What stands under a lease or dedup key.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Taken by the grant of this fence.
    Pending(u64),
    /// Delivered: duplicates are told so.
    Confirmed,
    /// Settled, with the answer to give again.
    Remembered(Box<ActionOutcome>),
}

/// A lease or a dedup record. 40 bytes, and there are millions.
#[derive(Debug)]
pub(crate) struct Record {
    key: Key,
    /// When it falls free, in nanoseconds.
    pub(crate) until: u64,
    pub(crate) slot: Slot,
}

impl Perishable for Record {
    fn key(&self) -> Key {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        match self.slot {
            Slot::Pending(_) => now >= self.until.saturating_add(AFTERLIFE),
            Slot::Confirmed | Slot::Remembered(_) => now >= self.until,
        }
    }
}

/// One shard.
pub(crate) struct Shard {
    records: SweptTable<Record>,
    quotas: SweptTable<QuotaLog>,
    refunds: Refunds,
    remembered_bytes: usize,
    limits: Limits,
}

impl Shard {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            records: SweptTable::default(),
            quotas: SweptTable::default(),
            refunds: Refunds::default(),
            remembered_bytes: 0,
            limits,
        }
    }

    /// The record in force under `key`.
    pub(crate) fn in_force(&self, key: Key, now: u64) -> Option<&Record> {
        self.records.find(key).filter(|record| now < record.until)
    }

    /// True when a record under `key` fits in.
    pub(crate) fn fits_record(&mut self, key: Key, now: u64) -> bool {
        self.has_room(now) || self.records.find(key).is_some()
    }

    /// True when one more outcome may be remembered.
    pub(crate) fn fits_outcome(&mut self, now: u64) -> bool {
        let has_room = |shard: &Self| shard.remembered_bytes < shard.limits.remembered_bytes;
        if !has_room(self) {
            self.sweep(now, SWEEP_WHEN_FULL);
        }
        has_room(self)
    }

    /// True when a throttle log under `key` fits in.
    pub(crate) fn fits_quota(&mut self, key: Key, now: u64) -> bool {
        self.has_room(now) || self.quotas.find(key).is_some()
    }

    fn has_room(&mut self, now: u64) -> bool {
        let has_room = |shard: &Self| shard.len() < shard.limits.keys;
        if !has_room(self) {
            self.sweep(now, SWEEP_WHEN_FULL);
        }
        has_room(self)
    }

    fn len(&self) -> usize {
        self.records.len() + self.quotas.len()
    }

    /// Takes `key` until then for the grant of `fence`, and forgets some of what is over.
    pub(crate) fn take(&mut self, key: Key, fence: u64, now: u64, until: u64) {
        let slot = Slot::Pending(fence);
        self.put(Record { key, until, slot });
        self.sweep(now, SWEEP_PER_KEY);
    }

    /// Leaves an end under `key`.
    pub(crate) fn end(&mut self, key: Key, slot: Slot, until: u64) {
        self.put(Record { key, until, slot });
    }

    fn put(&mut self, record: Record) {
        self.remembered_bytes += record.slot.bytes();
        if let Some(before) = self.records.put(record) {
            self.remembered_bytes -= before.slot.bytes();
        }
    }

    /// True when the record under `key` is still the one of the grant of `fence`, in force or only just over.
    pub(crate) fn belongs_to(&self, key: Key, fence: u64) -> bool {
        let found = self.records.find(key).map(|record| &record.slot);
        matches!(found, Some(Slot::Pending(holder)) if *holder == fence)
    }

    /// Frees a key that is pending.
    pub(crate) fn release(&mut self, key: Key) {
        self.records.remove(key);
    }

    /// Prolongs what is pending, in force, and of this fence.
    pub(crate) fn prolong(&mut self, key: Key, fence: u64, now: u64, until: u64) -> bool {
        match self.records.find_mut(key) {
            Some(Record {
                until: end,
                slot: Slot::Pending(holder),
                ..
            }) if *holder == fence && now < *end => {
                *end = until;
                true
            }
            _ => false,
        }
    }

    /// Nanoseconds until one more beside `more` fits under `key`; `None` when it does now.
    pub(crate) fn quota_wait(
        &mut self,
        key: Key,
        bound: Bound,
        now: u64,
        more: u32,
    ) -> Option<u64> {
        match self.quotas.find_mut(key) {
            Some(log) => log.wait(bound, now, more),
            None => QuotaLog::new(key).wait(bound, now, more),
        }
    }

    /// Takes a place under `key`, and forgets some of what is over.
    pub(crate) fn charge(&mut self, key: Key, bound: Bound, now: u64) {
        self.quotas
            .entry_or(key, || QuotaLog::new(key))
            .charge(bound, now);
    }

    /// Gives back the place under `key` that `charge` names, once.
    pub(crate) fn refund(&mut self, key: Key, bound: Bound, now: u64, charge: Charge) {
        if let Some(log) = self.quotas.find_mut(key)
            && self.refunds.is_first(charge, key)
        {
            log.refund(bound, now, charge.at);
        }
    }

    /// What all keys take together.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let logs: usize = self.quotas.iter().map(QuotaLog::heap_bytes).sum();
        self.records.bytes() + self.remembered_bytes + self.quotas.bytes() + logs
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.len()
    }

    fn sweep(&mut self, now: u64, buckets: usize) {
        let mut freed = 0;
        self.records
            .sweep(now, buckets, |record| freed += record.slot.bytes());
        self.remembered_bytes -= freed;
        self.quotas.sweep(now, buckets, drop);
    }
}

impl Slot {
    /// The memory outside the table, roughly.
    fn bytes(&self) -> usize {
        let Self::Remembered(outcome) = self else {
            return 0;
        };
        let response = match &**outcome {
            ActionOutcome::Executed(response) | ActionOutcome::Rerouted { response, .. } => {
                response
            }
            _ => return size_of::<ActionOutcome>(),
        };
        let headers = response
            .headers
            .iter()
            .map(|(name, value)| 48 + name.len() + value.len());
        size_of::<ActionOutcome>() + response.body.get().len() + headers.sum::<usize>()
    }
}

/// The last refunds that were given.
#[derive(Default)]
struct Refunds {
    known: HashSet<(u64, usize, Key)>,
    order: VecDeque<(u64, usize, Key)>,
}

impl Refunds {
    fn is_first(&mut self, charge: Charge, key: Key) -> bool {
        let refund = (charge.fence, charge.quota, key);
        let is_first = self.known.insert(refund);
        if is_first {
            self.order.push_back(refund);
        }
        if self.order.len() > REFUNDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        is_first
    }
}
