//! How members join groups, and how groups are forgotten. `flushes.rs` has what happens in between.

use acteon_core::state::{
    Appended, EARLY_SEALS_MAX, GROUP_BYTES_MAX, GroupAppend, GroupStatus, GroupTiming,
};
use rusqlite::{OptionalExtension, params};

use super::call::StateCall;
use super::due::{DueKind, set_due};
use super::group_rows::{KeyRow, OpenGroup, first_member, word_of};
use super::keys::{HashedAppend, KeyHash};
use crate::error::Error;
use crate::time::{length_of, nanos_of, time_of};
use crate::values::StoredText;

/// What a group takes besides its settings, notes and members, in bytes.
const GROUP_BYTES: usize = 512;
/// What a member takes besides its id and body.
const MEMBER_BYTES: usize = 96;
/// Members of closed groups that are forgotten before a full store refuses another.
const FORGOTTEN_WHEN_FULL: usize = 8192;

impl StateCall<'_> {
    /// Adds a member to the open group of its key. `None` if there is no room for it.
    pub(super) fn append(&mut self, member: &HashedAppend) -> Result<Option<Appended>, Error> {
        if let Some(joined) = self.joined(&member.member)? {
            return Ok(Some(joined));
        }
        if !self.has_room_for_member(&member.append)? {
            return Ok(None);
        }
        let mut key = match KeyRow::read(self.connection, &member.key)? {
            Some(key) => key,
            None => KeyRow::create(self.connection, &member.key, &member.append.key.key)?,
        };
        let known = key.open;
        let mut open = match known {
            Some(number) => OpenGroup::read(self.connection, number)?,
            None => self.open_group(member, &mut key)?,
        };
        self.add(&mut open, member)?;
        let is_full = self.is_due_by_size(&mut key, &open);
        if is_full {
            self.seal(&mut key, open.number)?;
            open.due_at = self.now;
        }
        if is_full || known.is_none() {
            key.write(self.connection)?;
            if is_full || key.sealed.is_none() {
                let work = (DueKind::Group, &key.k);
                set_due(self.connection, work, open.due_at, None)?;
            }
        }
        Ok(Some(Appended {
            group_id: open.id,
            size: open.size,
            due_at: time_of(open.due_at),
        }))
    }

    /// Seals the open group of a key: it takes no more members and is due at once. Its key must be written.
    pub(super) fn seal(&self, key: &mut KeyRow, number: i64) -> Result<(), Error> {
        let seal = "UPDATE groups SET status = ?2, due_at = min(due_at, ?3) WHERE number = ?1 RETURNING interval";
        let mut seal = self.connection.prepare_cached(seal)?;
        let status = word_of(GroupStatus::Delivering);
        let interval: Option<i64> =
            seal.query_row(params![number, status, self.now], |row| row.get(0))?;
        if let Some(interval) = interval {
            key.quiet_until = Some(self.now.saturating_add(interval));
        }
        key.open = None;
        key.sealed = Some(number);
        Ok(())
    }

    /// Deletes closed groups whose time has passed, and of their members at most this many.
    pub(super) fn forget_groups(&mut self, members_max: usize) -> Result<(), Error> {
        let mut left = members_max;
        while left > 0 {
            let oldest =
                "SELECT number, k, bytes FROM groups WHERE until <= ?1 ORDER BY until LIMIT 1";
            let mut oldest = self.connection.prepare_cached(oldest)?;
            let oldest = oldest.query_row([self.now], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?))
            });
            let Some((number, k, bytes)) = oldest.optional()? else {
                return Ok(());
            };
            left -= self.forget_members(number, left)?;
            if left > 0 {
                self.forget_group(number, &k)?;
                *self.group_bytes()? -= bytes;
                left -= 1;
            }
        }
        Ok(())
    }

    /// What a member that is known has joined.
    fn joined(&self, member: &KeyHash) -> Result<Option<Appended>, Error> {
        let read = "SELECT joined.number, id, size, due_at, until FROM joined \
                    JOIN groups ON groups.number = joined.number >> 32 WHERE joined.k = ?1";
        let mut read = self.connection.prepare_cached(read)?;
        let joined = read.query_row([member], |row| {
            let appended = Appended {
                group_id: row.get(1).map(|StoredText(id)| id)?,
                size: row.get(2)?,
                due_at: time_of(row.get(3)?),
            };
            Ok((row.get(0)?, appended, row.get(4)?))
        });
        let joined: Option<(i64, Appended, Option<i64>)> = joined.optional()?;
        let Some((number, appended, until)) = joined else {
            return Ok(None);
        };
        if until.is_none_or(|until| self.now < until) {
            return Ok(Some(appended));
        }
        let forget = "DELETE FROM joined WHERE number = ?1";
        self.connection.prepare_cached(forget)?.execute([number])?;
        Ok(None)
    }

    /// True if there is room for a member, which may also open a group.
    fn has_room_for_member(&mut self, append: &GroupAppend) -> Result<bool, Error> {
        let member = cost_of_id(append) + append.member.body.len();
        let wanted = length(member + GROUP_BYTES + append.terms.settings.len());
        let max = self.shared.groups.bytes_max;
        if *self.group_bytes()? + wanted > max {
            self.forget_groups(FORGOTTEN_WHEN_FULL)?;
        }
        Ok(*self.group_bytes()? + wanted <= max)
    }

    /// An empty group with the terms of the member that opens it.
    fn open_group(&mut self, member: &HashedAppend, key: &mut KeyRow) -> Result<OpenGroup, Error> {
        let GroupAppend {
            key: name,
            new_id,
            terms,
            ..
        } = &member.append;
        let now = self.now;
        let due_at = match terms.timing {
            GroupTiming::Waits { wait, .. } => {
                let due_at = now.saturating_add(length_of(wait));
                due_at.max(key.quiet_until.unwrap_or(now))
            }
            GroupTiming::At(time) => nanos_of(time),
        };
        let interval = match terms.timing {
            GroupTiming::Waits { interval, .. } => Some(length_of(interval)),
            GroupTiming::At(_) => None,
        };
        let bytes = length(GROUP_BYTES + terms.settings.len());
        let open = "INSERT INTO groups (k, id, namespace, tenant, rule, key, status, size, omitted, size_max, \
                    interval, opened_at, last_at, due_at, settings, note, bytes, body_bytes) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, ?8, ?9, ?10, ?10, ?11, ?12, x'', ?13, 0)";
        self.connection.prepare_cached(open)?.execute(params![
            member.key,
            new_id.as_str(),
            name.namespace.as_str(),
            name.tenant.as_str(),
            name.rule.as_str(),
            name.key.as_str(),
            word_of(GroupStatus::Pending),
            terms.size_max,
            interval,
            now,
            due_at,
            &terms.settings[..],
            bytes,
        ])?;
        let number = self.connection.last_insert_rowid();
        key.open = Some(number);
        *self.group_bytes()? += bytes;
        Ok(OpenGroup {
            number,
            id: new_id.clone(),
            size: 0,
            omitted: 0,
            size_max: terms.size_max,
            interval,
            due_at,
            bytes,
            body_bytes: 0,
        })
    }

    fn add(&mut self, open: &mut OpenGroup, member: &HashedAppend) -> Result<(), Error> {
        let connection = self.connection;
        let first = first_member(open.number);
        let join = "INSERT INTO joined (number, k) VALUES (?1, ?2)";
        let mut join = connection.prepare_cached(join)?;
        join.execute((first + i64::from(open.size), member.member))?;
        let listed = open.size - open.omitted;
        let body = &member.append.member.body;
        let with_body = open.body_bytes + length(body.len());
        let mut bytes = cost_of_id(&member.append);
        if listed < open.size_max && with_body <= length(GROUP_BYTES_MAX) {
            let list = "INSERT INTO members (number, id, body) VALUES (?1, ?2, ?3)";
            let mut list = connection.prepare_cached(list)?;
            let id = member.append.member.id.as_str();
            list.execute(params![first + i64::from(listed), id, &body[..]])?;
            open.body_bytes = with_body;
            bytes += body.len();
        } else {
            open.omitted += 1;
        }
        open.size = open.size.saturating_add(1);
        open.bytes += length(bytes);
        *self.group_bytes()? += length(bytes);
        open.write(connection, self.now)
    }

    /// Whether the open group has reached its size and may be sealed for that. Then the key remembers it.
    pub(super) fn is_due_by_size(&self, key: &mut KeyRow, open: &OpenGroup) -> bool {
        let Some(interval) = open.interval else {
            return false;
        };
        if key.sealed.is_some() || open.size < open.size_max {
            return false;
        }
        let counts = |seal: &i64| seal.saturating_add(interval) > self.now;
        key.early_seals.retain(counts);
        let may_seal = key.early_seals.len() < EARLY_SEALS_MAX;
        if may_seal {
            key.early_seals.push(self.now);
        }
        may_seal
    }

    /// Forgets members of a closed group. Returns how many.
    fn forget_members(&self, group: i64, limit: usize) -> Result<usize, Error> {
        let forget = "DELETE FROM joined WHERE number IN \
                      (SELECT number FROM joined WHERE number >= ?1 AND number < ?2 ORDER BY number LIMIT ?3)";
        let mut forget = self.connection.prepare_cached(forget)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(forget.execute((first_member(group), first_member(group + 1), limit))?)
    }

    /// Forgets a closed group without members, and its key if it was the last one.
    fn forget_group(&self, number: i64, k: &KeyHash) -> Result<(), Error> {
        let connection = self.connection;
        let forget = "DELETE FROM groups WHERE number = ?1";
        connection.prepare_cached(forget)?.execute([number])?;
        let shown = "UPDATE group_keys SET closed = NULL WHERE k = ?1 AND closed = ?2";
        connection.prepare_cached(shown)?.execute((k, number))?;
        let key = "DELETE FROM group_keys WHERE k = ?1 AND coalesce(open, sealed, closed) IS NULL";
        connection.prepare_cached(key)?.execute([k])?;
        Ok(())
    }
}

/// What a member takes of the bound on all groups without its body.
fn cost_of_id(append: &GroupAppend) -> usize {
    append.member.id.len() + MEMBER_BYTES
}

/// A number of bytes as it is stored.
fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
