//! All shards. A slice of items is processed in chunks. Each chunk locks the shards it needs, always in the same order,
//! so that it sees and changes all its keys at one moment.

use acteon_core::state::FillLevel;
use compact_str::format_compact;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::config::StateConfig;
use crate::key::{HashedKey, Hashing};
use crate::remembered::RememberedLimits;
use crate::shard::{Shard, ShardLimits};
use crate::table::nanos;

/// A power of two. Twice as many shards would take twice as many locks for a whole batch.
pub(crate) const SHARDS: usize = 16;
/// Below this number of keys there is one shard, and its bound is exact. Above it, keys are spread evenly enough.
const SHARDED_FROM: usize = 65_536;
/// The number of items processed under one set of locks: some microseconds.
const CHUNK: usize = 64;

pub(crate) struct Shards {
    shards: Box<[Mutex<Shard>]>,
    keys_max: usize,
    pub(crate) hashing: Hashing,
    started: Instant,
    started_at: Timestamp,
}

/// Which shards a chunk locks.
#[derive(Clone, Copy)]
pub(crate) enum Locks {
    /// The shards of its keys.
    Named,
    /// All, because it writes events: the index entries of an event are known only when it is found.
    All,
}

/// The locked shards of one chunk.
pub(crate) struct Locked<'a> {
    guards: [Option<MutexGuard<'a, Shard>>; SHARDS],
    count: usize,
    /// Nanoseconds since the start, read after taking the locks. In each shard it never goes back.
    pub(crate) now: u64,
    pub(crate) hashing: Hashing,
}

impl Shards {
    pub(crate) fn new(config: &StateConfig, started_at: Timestamp) -> Self {
        let keys = config.max_keys.get();
        let count = if keys < SHARDED_FROM { 1 } else { SHARDS };
        let limits = ShardLimits {
            keys: keys / count,
            remembered: RememberedLimits {
                outcomes: config.max_remembered / count,
                bytes: config.max_remembered_bytes / count,
            },
        };
        Self {
            shards: (0..count).map(|_| Mutex::new(Shard::new(limits))).collect(),
            keys_max: keys,
            hashing: Hashing::default(),
            started: Instant::now(),
            started_at,
        }
    }

    /// Passes each item to `each`, in order, with the remaining keys of its chunk. The item's keys, as listed by
    /// `names`, come first, and `each` takes them off.
    pub(crate) fn visit<'r, T>(
        &self,
        items: &'r [T],
        names: impl Fn(&Hashing, &'r T, &mut Vec<HashedKey>),
        each: impl FnMut(&mut Locked<'_>, &'r T, &mut &[HashedKey]),
    ) {
        self.visit_under(Locks::Named, items, names, each);
    }

    /// The same, under these locks.
    pub(crate) fn visit_under<'r, T>(
        &self,
        locks: Locks,
        items: &'r [T],
        names: impl Fn(&Hashing, &'r T, &mut Vec<HashedKey>),
        mut each: impl FnMut(&mut Locked<'_>, &'r T, &mut &[HashedKey]),
    ) {
        let mut keys = Vec::with_capacity(2 * items.len().min(CHUNK));
        for chunk in items.chunks(CHUNK) {
            keys.clear();
            for item in chunk {
                names(&self.hashing, item, &mut keys);
            }
            let mut locked = match locks {
                Locks::Named => self.lock(&keys),
                Locks::All => self.lock_all(),
            };
            locked.fetch(&keys);
            let mut rest = keys.as_slice();
            for item in chunk {
                each(&mut locked, item, &mut rest);
            }
        }
    }

    /// Passes each shard and the time to `each`, one after the other.
    pub(crate) fn each(&self, mut each: impl FnMut(&mut Shard, u64)) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            each(&mut shard, nanos(self.started.elapsed()));
        }
    }

    /// The number of keys, and whether there is no room for a new one.
    pub(crate) fn level(&self) -> FillLevel {
        let mut kept = 0;
        let mut is_full = false;
        for shard in &self.shards {
            let mut shard = shard.lock();
            is_full |= !shard.has_room(nanos(self.started.elapsed()));
            kept += shard.len();
        }
        let max = self.keys_max;
        FillLevel {
            kept: kept as u64,
            full: is_full.then(|| format_compact!("{kept} of {max} keys")),
        }
    }

    /// The number of keys, and their bytes including remembered outcomes.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(|shard| {
            let shard = shard.lock();
            (shard.len(), shard.bytes())
        });
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// The number of remembered outcomes.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().remembered()).sum()
    }

    /// The wall-clock time.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(nanos(self.started.elapsed()))
    }

    /// The wall-clock time this many nanoseconds after the start.
    pub(crate) fn at(&self, passed: u64) -> Timestamp {
        let passed = SignedDuration::from_nanos(i64::try_from(passed).unwrap_or(i64::MAX));
        let time = self.started_at.saturating_add(passed);
        time.unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn lock(&self, keys: &[HashedKey]) -> Locked<'_> {
        let mut needed = [false; SHARDS];
        for key in keys {
            needed[place(*key, self.shards.len())] = true;
        }
        self.lock_those(needed)
    }

    pub(crate) fn lock_all(&self) -> Locked<'_> {
        self.lock_those([true; SHARDS])
    }

    fn lock_those(&self, needed: [bool; SHARDS]) -> Locked<'_> {
        let mut guards = [const { None }; SHARDS];
        for ((shard, needed), guard) in self.shards.iter().zip(needed).zip(&mut guards) {
            *guard = needed.then(|| shard.lock());
        }
        Locked {
            guards,
            count: self.shards.len(),
            now: nanos(self.started.elapsed()),
            hashing: self.hashing,
        }
    }
}

impl Locked<'_> {
    /// Touches the position of each key. With millions of keys, each lookup waits for memory. Independent lookups wait
    /// in parallel, so that the later work, one key at a time, finds its data in the cache.
    fn fetch(&mut self, keys: &[HashedKey]) {
        let known = keys.iter().filter(|key| self.shard(**key).knows(**key));
        std::hint::black_box(known.count());
    }

    /// The locked shards.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Shard> {
        self.guards.iter().filter_map(|guard| guard.as_deref())
    }

    /// The locked shards, to change them.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Shard> {
        let guards = self.guards.iter_mut();
        guards.filter_map(|guard| guard.as_deref_mut())
    }

    /// The shard of a key of this chunk.
    pub(crate) fn shard(&mut self, key: HashedKey) -> &mut Shard {
        self.nth(self.place(key))
    }

    /// The index of the key's shard.
    pub(crate) fn place(&self, key: HashedKey) -> usize {
        place(key, self.count)
    }

    #[expect(
        clippy::expect_used,
        reason = "the shards of all keys of a chunk are locked first"
    )]
    pub(crate) fn nth(&mut self, place: usize) -> &mut Shard {
        self.guards[place].as_deref_mut().expect("a locked shard")
    }
}

/// The upper half chooses the shard, the lower half the position in its table. `count` is a power of two.
#[expect(clippy::cast_possible_truncation, reason = "it is below `count`")]
fn place(key: HashedKey, count: usize) -> usize {
    (key.high & (count as u64 - 1)) as usize
}
