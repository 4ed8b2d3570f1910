//! One call on the state inside its transaction: the rows it reads and writes, and the bound on their number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use parking_lot::MutexGuard;
use rusqlite::{Connection, OptionalExtension};

use super::keys::KeyHash;
use super::levels::{OutcomeLevel, group_bytes, keep_group_bytes, keep_keys, keys_kept};
use super::slots::SlotCounts;
use super::sweep::Swept;
use super::{Shared, Upkeep};
use crate::error::Error;

/// Rows swept for each new one. If as many expire as arrive, expired ones take at most a quarter of a table.
const SWEPT_PER_ROW: i64 = 4;
/// Rows of each table swept before a full store refuses a new key.
const SWEPT_WHEN_FULL: i64 = 1024;
/// Members of closed groups that a call forgets, if it touches groups.
const FORGOTTEN_PER_CALL: usize = 1024;
/// One eighth of the keys is reserved for reservations, so that actions continue however much is counted.
const RESERVED_SHARE: i64 = 8;

/// A call in its transaction.
pub(super) struct StateCall<'c> {
    pub(super) connection: &'c Connection,
    pub(super) shared: &'c Shared,
    /// In nanoseconds since 1970.
    pub(super) now: i64,
    keys: KeyLevel,
    pub(super) outcomes: Option<OutcomeLevel>,
    /// The bytes of groups, once the call has read them.
    group_bytes: Option<i64>,
    counts: HashMap<KeyHash, CachedCounts>,
    upkeep: MutexGuard<'c, Upkeep>,
}

/// The keys that are kept, and the rows of each table that this call has added.
struct KeyLevel {
    kept: i64,
    before: i64,
    /// Whether rows were swept because there was no room.
    is_swept: bool,
    added: [i64; Swept::ALL.len()],
}

/// Counts that were read. Those of a key are read and written once in a call, however often it counts.
pub(super) struct CachedCounts {
    pub(super) counts: SlotCounts,
    is_stored: bool,
    /// When the row expires, if it must be written.
    until: Option<i64>,
}

/// The row of a lease or a dedup key.
#[derive(Clone, Copy)]
pub(super) struct HoldRow {
    /// Who holds it. `None`: it was delivered.
    pub(super) token: Option<KeyHash>,
    pub(super) until: i64,
}

impl<'c> StateCall<'c> {
    pub(super) fn begin(
        connection: &'c Connection,
        shared: &'c Shared,
        now: i64,
    ) -> Result<Self, Error> {
        let kept = keys_kept(connection)?;
        let mut upkeep = shared.upkeep.lock();
        let now = upkeep.rising(now);
        Ok(Self {
            connection,
            shared,
            now,
            keys: KeyLevel {
                kept,
                before: kept,
                is_swept: false,
                added: [0; Swept::ALL.len()],
            },
            outcomes: None,
            group_bytes: None,
            counts: HashMap::new(),
            upkeep,
        })
    }

    /// Writes the counts and levels that changed, and sweeps some expired rows.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.write_counts()?;
        for (at, table) in Swept::ALL.into_iter().enumerate() {
            let rows = self.keys.added[at] * SWEPT_PER_ROW;
            if rows > 0 {
                self.sweep(table, rows)?;
            }
        }
        if self.keys.kept != self.keys.before {
            keep_keys(self.connection, self.keys.kept)?;
        }
        if self.group_bytes.is_some() {
            self.forget_groups(FORGOTTEN_PER_CALL)?;
        }
        if let Some(bytes) = self.group_bytes {
            keep_group_bytes(self.connection, bytes)?;
        }
        match &self.outcomes {
            Some(level) => level.write(self.connection),
            None => Ok(()),
        }
    }

    /// The bytes of groups, which the end of the call writes.
    pub(super) fn group_bytes(&mut self) -> Result<&mut i64, Error> {
        let bytes = match self.group_bytes {
            Some(bytes) => bytes,
            None => group_bytes(self.connection)?,
        };
        Ok(self.group_bytes.insert(bytes))
    }

    /// The row of a lease or a dedup key, in force or expired.
    pub(super) fn hold(&self, key: &KeyHash) -> Result<Option<HoldRow>, Error> {
        let read = "SELECT token, until FROM holds WHERE k = ?1";
        let mut read = self.connection.prepare_cached(read)?;
        let row = read.query_row([key], |row| {
            Ok(HoldRow {
                token: row.get(0)?,
                until: row.get(1)?,
            })
        });
        Ok(row.optional()?)
    }

    /// The counts under a key, without what has left the window.
    pub(super) fn counts(
        &mut self,
        key: &KeyHash,
        window: i64,
    ) -> Result<&mut CachedCounts, Error> {
        let cached = match self.counts.entry(*key) {
            Entry::Occupied(cached) => cached.into_mut(),
            Entry::Vacant(vacant) => {
                let stored = read_counts(self.connection, key)?;
                vacant.insert(CachedCounts {
                    is_stored: stored.is_some(),
                    counts: stored.unwrap_or_default(),
                    until: None,
                })
            }
        };
        cached.counts.leave(window, self.now);
        Ok(cached)
    }

    /// Counts one under a key.
    pub(super) fn count(&mut self, key: &KeyHash, window: i64, width: i64) -> Result<(), Error> {
        let now = self.now;
        let cached = self.counts(key, window)?;
        cached.counts.add(now, width);
        cached.until = Some(now.saturating_add(window));
        let is_new = !std::mem::replace(&mut cached.is_stored, true);
        self.added(Swept::Counts, i64::from(is_new));
        Ok(())
    }

    /// Adds rows to a table. They are swept for.
    pub(super) fn added(&mut self, table: Swept, rows: i64) {
        self.keys.kept += rows;
        self.keys.added[table as usize] += rows;
    }

    /// Counts rows that are not swept.
    pub(super) fn kept_more(&mut self, rows: i64) {
        self.keys.kept += rows;
    }

    pub(super) fn deleted(&mut self, rows: usize) {
        self.keys.kept -= i64::try_from(rows).unwrap_or(i64::MAX);
    }

    /// True if reservations may add this many rows.
    pub(super) fn has_room(&mut self, rows: i64) -> Result<bool, Error> {
        self.has_room_below(self.shared.keys_max, rows)
    }

    /// True if counts and events may add this many rows.
    pub(super) fn has_room_for_counts(&mut self, rows: i64) -> Result<bool, Error> {
        let max = self.shared.keys_max;
        self.has_room_below(max - max / RESERVED_SHARE, rows)
    }

    fn has_room_below(&mut self, max: i64, rows: i64) -> Result<bool, Error> {
        let fits = |call: &Self| call.keys.kept + rows <= max;
        if !fits(self) && !self.keys.is_swept {
            self.keys.is_swept = true;
            for table in Swept::ALL {
                self.sweep(table, SWEPT_WHEN_FULL)?;
            }
        }
        Ok(fits(self))
    }

    fn sweep(&mut self, table: Swept, rows: i64) -> Result<(), Error> {
        let deleted = self
            .upkeep
            .sweeper
            .sweep(self.connection, table, rows, self.now)?;
        self.keys.kept -= deleted;
        Ok(())
    }

    fn write_counts(&self) -> Result<(), Error> {
        let write = "INSERT INTO counts (k, until, slots) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (k) DO UPDATE SET until = excluded.until, slots = excluded.slots";
        let mut write = self.connection.prepare_cached(write)?;
        for (key, cached) in &self.counts {
            if let Some(until) = cached.until {
                write.execute((key, until, cached.counts.to_bytes()))?;
            }
        }
        Ok(())
    }
}

impl CachedCounts {
    /// True if the key has a row, or will have one at the end of the call.
    pub(super) fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// Takes back one that was counted at this time.
    pub(super) fn take_back(&mut self, counted_at: i64, window: i64, width: i64) {
        self.counts.take_back(counted_at, width);
        let last = self.counts.last().unwrap_or(i64::MIN);
        self.until = Some(last.saturating_add(window));
    }
}

/// The counts under a key.
pub(super) fn read_counts(
    connection: &Connection,
    key: &KeyHash,
) -> Result<Option<SlotCounts>, Error> {
    let read = "SELECT slots FROM counts WHERE k = ?1";
    let mut read = connection.prepare_cached(read)?;
    let mut rows = read.query([key])?;
    let row = rows.next()?;
    let counts = row.map(|row| Ok(SlotCounts::read(row.get_ref(0)?.as_bytes()?)));
    counts.transpose()
}
