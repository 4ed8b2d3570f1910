//! The rows of groups and of their keys. What they mean is left to `groups.rs` and `flushes.rs`.

use acteon_core::state::{GroupKey, GroupName, GroupStatus, StoredGroup};
use bytes::Bytes;
use compact_str::CompactString;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::keys::KeyHash;
use crate::error::Error;
use crate::time::time_of;
use crate::values::StoredText;

/// What [`stored_of`] reads.
macro_rules! columns {
    () => {
        "namespace, tenant, rule, key, id, status, size, omitted, opened_at, last_at, due_at, settings, note"
    };
}
pub(super) use columns;

/// The groups of a key, by number.
pub(super) struct KeyRow {
    pub(super) k: KeyHash,
    pub(super) open: Option<i64>,
    pub(super) sealed: Option<i64>,
    /// The next group is not due before this.
    pub(super) quiet_until: Option<i64>,
    /// When groups were sealed because they had reached their size.
    pub(super) early_seals: Vec<i64>,
}

impl KeyRow {
    pub(super) fn read(connection: &Connection, k: &KeyHash) -> Result<Option<Self>, Error> {
        let read = "SELECT open, sealed, quiet_until, early_seals FROM group_keys WHERE k = ?1";
        let mut read = connection.prepare_cached(read)?;
        let row = read.query_row([k], |row| {
            Ok(Self {
                k: *k,
                open: row.get(0)?,
                sealed: row.get(1)?,
                quiet_until: row.get(2)?,
                early_seals: times_of(row.get_ref(3)?.as_blob()?),
            })
        });
        Ok(row.optional()?)
    }

    /// A key that has no groups yet.
    pub(super) fn create(connection: &Connection, k: &KeyHash, key: &str) -> Result<Self, Error> {
        let create = "INSERT INTO group_keys (k, key, early_seals) VALUES (?1, ?2, x'')";
        connection.prepare_cached(create)?.execute((k, key))?;
        Ok(Self {
            k: *k,
            open: None,
            sealed: None,
            quiet_until: None,
            early_seals: Vec::new(),
        })
    }

    pub(super) fn write(&self, connection: &Connection) -> Result<(), Error> {
        let write = "UPDATE group_keys SET open = ?2, sealed = ?3, quiet_until = ?4, early_seals = ?5 WHERE k = ?1";
        let seals: Vec<u8> = self
            .early_seals
            .iter()
            .flat_map(|at| at.to_le_bytes())
            .collect();
        connection.prepare_cached(write)?.execute(params![
            self.k,
            self.open,
            self.sealed,
            self.quiet_until,
            seals
        ])?;
        Ok(())
    }
}

fn times_of(bytes: &[u8]) -> Vec<i64> {
    let (times, _) = bytes.as_chunks();
    times.iter().map(|time| i64::from_le_bytes(*time)).collect()
}

/// What changes of a group as members join.
pub(super) struct OpenGroup {
    pub(super) number: i64,
    pub(super) id: CompactString,
    pub(super) size: u32,
    pub(super) omitted: u32,
    pub(super) size_max: u32,
    /// In nanoseconds. Absent if the group has a fixed time.
    pub(super) interval: Option<i64>,
    pub(super) due_at: i64,
    pub(super) bytes: i64,
    pub(super) body_bytes: i64,
}

impl OpenGroup {
    pub(super) fn read(connection: &Connection, number: i64) -> Result<Self, Error> {
        let read = "SELECT id, size, omitted, size_max, interval, due_at, bytes, body_bytes FROM groups \
                    WHERE number = ?1";
        let mut read = connection.prepare_cached(read)?;
        let open = read.query_row([number], |row| {
            Ok(Self {
                number,
                id: row.get(0).map(|StoredText(id)| id)?,
                size: row.get(1)?,
                omitted: row.get(2)?,
                size_max: row.get(3)?,
                interval: row.get(4)?,
                due_at: row.get(5)?,
                bytes: row.get(6)?,
                body_bytes: row.get(7)?,
            })
        });
        Ok(open?)
    }

    /// Writes what a member that joins now has changed.
    pub(super) fn write(&self, connection: &Connection, now: i64) -> Result<(), Error> {
        let write = "UPDATE groups SET size = ?2, omitted = ?3, last_at = ?4, bytes = ?5, body_bytes = ?6 \
                     WHERE number = ?1";
        connection.prepare_cached(write)?.execute(params![
            self.number,
            self.size,
            self.omitted,
            now,
            self.bytes,
            self.body_bytes,
        ])?;
        Ok(())
    }
}

/// Where the members of a group begin, by number.
pub(super) fn first_member(group: i64) -> i64 {
    group << 32
}

/// A group of a row of [`columns`].
pub(super) fn stored_of(row: &Row<'_>) -> rusqlite::Result<StoredGroup> {
    let text = |at: usize| row.get(at).map(|StoredText(text)| text);
    let bytes = |at: usize| row.get::<_, Vec<u8>>(at).map(Bytes::from);
    Ok(StoredGroup {
        name: GroupName {
            key: GroupKey {
                namespace: text(0)?,
                tenant: text(1)?,
                rule: text(2)?,
                key: text(3)?,
            },
            id: text(4)?,
        },
        status: row.get(5).map(|StoredStatus(status)| status)?,
        size: row.get(6)?,
        omitted: row.get(7)?,
        opened_at: time_of(row.get(8)?),
        last_at: time_of(row.get(9)?),
        due_at: time_of(row.get(10)?),
        settings: bytes(11)?,
        note: bytes(12)?,
    })
}

/// The word for a status.
pub(super) fn word_of(status: GroupStatus) -> &'static str {
    match status {
        GroupStatus::Pending => "pending",
        GroupStatus::Delivering => "delivering",
        GroupStatus::Notified => "notified",
        GroupStatus::Failed => "failed",
    }
}

struct StoredStatus(GroupStatus);

impl FromSql for StoredStatus {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        let all = [
            GroupStatus::Pending,
            GroupStatus::Delivering,
            GroupStatus::Notified,
            GroupStatus::Failed,
        ];
        let found = all.into_iter().find(|status| word_of(*status) == word);
        found.map(Self).ok_or(FromSqlError::InvalidType)
    }
}
