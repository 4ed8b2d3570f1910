//! How groups are taken, held and ended.

use acteon_core::state::{GroupEnd, GroupStatus, StoredGroup, TakenGroup};
use rusqlite::{OptionalExtension, params};

use super::call::StateCall;
use super::due::{DueKind, DueTaker, set_due, unset_due};
use super::group_rows::{KeyRow, OpenGroup, columns, first_member, stored_of, word_of};
use super::keys::{HashedHeld, KeyHash};
use crate::error::Error;
use crate::time::length_of;

impl StateCall<'_> {
    /// Seals and takes the group that waits under a key.
    pub(super) fn take_by_hand(
        &mut self,
        key: &KeyHash,
        taker: DueTaker,
    ) -> Result<TakenGroup, Error> {
        let held = "SELECT TRUE FROM timers WHERE id = ?1 AND due > ?2 AND token <> ?3";
        let mut held = self.connection.prepare_cached(held)?;
        if held.exists((key, self.now, taker.token))? {
            return Ok(TakenGroup::Held);
        }
        Ok(match self.take(key, taker)? {
            Some(taken) => TakenGroup::Taken(taken.into()),
            None => TakenGroup::Absent,
        })
    }

    /// Extends a hold. False if it was lost.
    pub(super) fn renew_group(&self, held: &HashedHeld, lease: i64) -> Result<bool, Error> {
        if self.held(held)?.is_none() {
            return Ok(false);
        }
        let until = self.now.saturating_add(lease);
        let work = (DueKind::Group, &held.key);
        set_due(self.connection, work, until, Some(held.token))?;
        Ok(true)
    }

    /// Writes a note into a held group. False if the hold was lost.
    pub(super) fn note(&mut self, held: &HashedHeld, note: &[u8]) -> Result<bool, Error> {
        let Some(number) = self.held(held)? else {
            return Ok(false);
        };
        let before = "SELECT length(note) FROM groups WHERE number = ?1";
        let mut before = self.connection.prepare_cached(before)?;
        let before: i64 = before.query_row([number], |row| row.get(0))?;
        let more = i64::try_from(note.len()).unwrap_or(i64::MAX) - before;
        let write = "UPDATE groups SET note = ?2, bytes = bytes + ?3 WHERE number = ?1";
        let mut write = self.connection.prepare_cached(write)?;
        write.execute(params![number, note, more])?;
        *self.group_bytes()? += more;
        Ok(true)
    }

    /// Ends a hold. False if it was lost.
    pub(super) fn finish_group(
        &mut self,
        held: &HashedHeld,
        end: &GroupEnd,
    ) -> Result<bool, Error> {
        if self.was_finished(held)? {
            return Ok(true);
        }
        let Some(number) = self.held(held)? else {
            return Ok(false);
        };
        match end {
            GroupEnd::Release { after, note } => {
                self.note(held, note)?;
                let due = self.now.saturating_add(length_of(*after));
                self.release_group(number, held, due)?;
            }
            GroupEnd::Notified => self.close_group(number, held, GroupStatus::Notified)?,
            GroupEnd::Failed => self.close_group(number, held, GroupStatus::Failed)?,
        }
        Ok(true)
    }

    /// Takes the group that waits under a key, and seals it before.
    pub(super) fn take(
        &mut self,
        k: &KeyHash,
        taker: DueTaker,
    ) -> Result<Option<StoredGroup>, Error> {
        let Some(mut key) = KeyRow::read(self.connection, k)? else {
            return Ok(None);
        };
        if let (None, Some(open)) = (key.sealed, key.open) {
            self.seal(&mut key, open)?;
            key.write(self.connection)?;
        }
        let Some(number) = key.sealed else {
            return Ok(None);
        };
        let until = self.now.saturating_add(taker.lease);
        let work = (DueKind::Group, k);
        set_due(self.connection, work, until, Some(taker.token))?;
        let read = concat!("SELECT ", columns!(), " FROM groups WHERE number = ?1");
        let mut read = self.connection.prepare_cached(read)?;
        Ok(Some(read.query_row([number], stored_of)?))
    }

    /// The groups that a token has taken and not finished.
    pub(super) fn groups_held_by(&self, token: KeyHash) -> Result<Vec<StoredGroup>, Error> {
        let read = concat!(
            "SELECT ",
            columns!(),
            " FROM groups WHERE number IN (SELECT sealed FROM timers JOIN group_keys ON group_keys.k = timers.id \
             WHERE timers.token = ?1) ORDER BY due_at, number"
        );
        let mut read = self.connection.prepare_cached(read)?;
        let held = read.query_map([token], stored_of)?;
        Ok(held.collect::<rusqlite::Result<_>>()?)
    }

    /// The number of the group that a token holds.
    fn held(&self, held: &HashedHeld) -> Result<Option<i64>, Error> {
        let read = "SELECT groups.number FROM group_keys JOIN groups ON groups.number = group_keys.sealed \
                    JOIN timers ON timers.id = group_keys.k \
                    WHERE group_keys.k = ?1 AND groups.id = ?2 AND timers.token = ?3";
        let mut read = self.connection.prepare_cached(read)?;
        let found = read.query_row((held.key, held.id.as_str(), held.token), |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Whether this holder has closed the group already, or was the last to release it.
    fn was_finished(&self, held: &HashedHeld) -> Result<bool, Error> {
        let read = "SELECT TRUE FROM groups WHERE id = ?2 AND k = ?1 AND ended_by = ?3 AND (until IS NOT NULL \
                    OR NOT EXISTS (SELECT TRUE FROM timers WHERE timers.id = ?1 AND token IS NOT NULL))";
        let mut read = self.connection.prepare_cached(read)?;
        Ok(read.exists((held.key, held.id.as_str(), held.token))?)
    }

    fn release_group(&self, number: i64, held: &HashedHeld, due: i64) -> Result<(), Error> {
        let release = "UPDATE groups SET due_at = ?2, ended_by = ?3 WHERE number = ?1";
        let mut release = self.connection.prepare_cached(release)?;
        release.execute((number, due, held.token))?;
        set_due(self.connection, (DueKind::Group, &held.key), due, None)
    }

    /// Closes a group. Its bodies are deleted; the ids of its members stay while it is kept: while its key rests, and
    /// for the time of closed groups at least.
    fn close_group(
        &mut self,
        number: i64,
        held: &HashedHeld,
        status: GroupStatus,
    ) -> Result<(), Error> {
        let connection = self.connection;
        let bodies = "SELECT body_bytes, (SELECT quiet_until FROM group_keys WHERE k = ?2) FROM groups \
                      WHERE number = ?1";
        let mut bodies = connection.prepare_cached(bodies)?;
        let bodies = bodies.query_row((number, held.key), |row| Ok((row.get(0)?, row.get(1)?)));
        let (bodies, quiet_until): (i64, Option<i64>) = bodies?;
        let until = self.now.saturating_add(self.shared.groups.closed_for);
        let until = quiet_until.map_or(until, |quiet| quiet.max(until));
        let close = "UPDATE groups SET status = ?2, ended_by = ?3, until = ?4, bytes = bytes - body_bytes, \
                     body_bytes = 0 WHERE number = ?1";
        let mut close = connection.prepare_cached(close)?;
        close.execute((number, word_of(status), held.token, until))?;
        *self.group_bytes()? -= bodies;
        let drop = "DELETE FROM members WHERE number >= ?1 AND number < ?2";
        let mut drop = connection.prepare_cached(drop)?;
        drop.execute((first_member(number), first_member(number + 1)))?;
        let unseal = "UPDATE group_keys SET sealed = NULL, closed = ?2 WHERE k = ?1 \
                      RETURNING (SELECT due_at FROM groups WHERE number = group_keys.open)";
        let mut unseal = connection.prepare_cached(unseal)?;
        let next: Option<i64> = unseal.query_row((held.key, number), |row| row.get(0))?;
        match next {
            Some(due) => self.wait_for_next(&held.key, due),
            None => unset_due(connection, &held.key),
        }
    }

    /// The open group of a key is the next to be due: at its time, or at once if it has reached its size.
    fn wait_for_next(&self, k: &KeyHash, due: i64) -> Result<(), Error> {
        let connection = self.connection;
        let mut due = due;
        if let Some(mut key) = KeyRow::read(connection, k)?
            && let Some(number) = key.open
            && self.is_due_by_size(&mut key, &OpenGroup::read(connection, number)?)
        {
            self.seal(&mut key, number)?;
            key.write(connection)?;
            due = self.now;
        }
        set_due(connection, (DueKind::Group, k), due, None)
    }
}
