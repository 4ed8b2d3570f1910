//! How events are written: by compare and set, with their timers and with what finds them. `event_views.rs` has how they
//! are read.

use std::sync::Arc;

use acteon_core::state::{EventPhase, GRACE_MAX, StoredEvent};
use rusqlite::Connection;

use super::call::StateCall;
use super::due::{DueKind, set_due, unset_due};
use super::event_rows::{WrittenRow, put};
use super::event_views::find;
use super::keys::{HashedWrite, KeyHash};
use super::sweep::Swept;
use crate::error::Error;
use crate::time::length_of;

/// How the writes of the same event before it in the slice ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowsWrite {
    /// All were made, if there were any.
    Granted,
    /// One was refused, so this one is not about the present record.
    Refused,
}

/// Whether a write can be made.
pub(super) enum CheckedWrite {
    /// It can.
    Expected(PendingWrite),
    /// This hold has made it before.
    Made,
    /// The event has another version.
    Conflict(Option<Arc<StoredEvent>>),
}

/// What a write finds.
pub(super) struct PendingWrite {
    is_new: bool,
    /// The former entries of the event, in order.
    before: Vec<KeyHash>,
    /// How many rows it adds at most. Negative if it makes room.
    pub(super) rows: i64,
}

impl HashedWrite {
    /// The version that it gives.
    pub(super) fn next_version(&self) -> u64 {
        self.write.expected.saturating_add(1)
    }
}

impl StateCall<'_> {
    /// Whether an event has the version that a write of this hold expects.
    pub(super) fn check_write(
        &self,
        write: &HashedWrite,
        token: KeyHash,
        follows: FollowsWrite,
    ) -> Result<CheckedWrite, Error> {
        let stored = WrittenRow::read(self.connection, &write.key)?;
        let is_new = stored.is_none();
        let kept = stored.filter(|row| self.now < row.until);
        if let Some(row) = &kept
            && row.token == token
            && row.version == write.next_version()
        {
            return Ok(CheckedWrite::Made);
        }
        let version = kept.map_or(0, |row| row.version);
        if version != write.write.expected || follows == FollowsWrite::Refused {
            let present = find(self.connection, &write.key, self.now)?;
            return Ok(CheckedWrite::Conflict(present));
        }
        let before = entries_of(self.connection, &write.key)?;
        let [more, less] = [write.entries.len(), before.len()].map(rows_of);
        Ok(CheckedWrite::Expected(PendingWrite {
            is_new,
            before,
            rows: i64::from(is_new) + more - less,
        }))
    }

    /// Makes a write that was checked.
    pub(super) fn write_event(
        &mut self,
        write: &HashedWrite,
        token: KeyHash,
        pending: &PendingWrite,
    ) -> Result<(), Error> {
        put(self.connection, write, token, self.now)?;
        self.added(Swept::Events, i64::from(pending.is_new));
        self.move_entries(write, &pending.before)?;
        match write.write.due_in {
            Some(due_in) => {
                let due = self.now.saturating_add(length_of(due_in));
                set_due(self.connection, (DueKind::Event, &write.key), due, None)
            }
            None => unset_due(self.connection, &write.key),
        }
    }

    /// Replaces the former entries of an event. Those of one that has ended are kept for the grace of questions.
    fn move_entries(&mut self, write: &HashedWrite, before: &[KeyHash]) -> Result<(), Error> {
        let connection = self.connection;
        let remove = "DELETE FROM event_entries WHERE event = ?1 AND entry = ?2";
        let mut remove = connection.prepare_cached(remove)?;
        let is_ended = matches!(write.write.record.phase, EventPhase::Ended(_));
        for entry in before {
            if write.entries.binary_search(entry).is_ok() {
                continue;
            }
            self.deleted(remove.execute((write.key, entry))?);
            if is_ended {
                self.end_entry(entry)?;
            }
        }
        let add = "INSERT INTO event_entries (event, entry) VALUES (?1, ?2)";
        let mut add = connection.prepare_cached(add)?;
        for entry in &write.entries {
            if before.binary_search(entry).is_err() {
                add.execute((write.key, entry))?;
                self.kept_more(1);
            }
        }
        Ok(())
    }

    fn end_entry(&mut self, entry: &KeyHash) -> Result<(), Error> {
        let until = self.now.saturating_add(length_of(GRACE_MAX));
        let prolong = "UPDATE event_ends SET until = ?2 WHERE k = ?1";
        let mut prolong = self.connection.prepare_cached(prolong)?;
        if prolong.execute((entry, until))? == 0 {
            let end = "INSERT INTO event_ends (k, until) VALUES (?1, ?2)";
            self.connection
                .prepare_cached(end)?
                .execute((entry, until))?;
            self.added(Swept::EventEnds, 1);
        }
        Ok(())
    }
}

/// What an event is found by, in order.
fn entries_of(connection: &Connection, event: &KeyHash) -> Result<Vec<KeyHash>, Error> {
    let read = "SELECT entry FROM event_entries WHERE event = ?1 ORDER BY entry";
    let mut read = connection.prepare_cached(read)?;
    let entries = read.query_map([event], |row| row.get(0))?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

fn rows_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
