//! How many rows are kept: in a separate table, so that no bound needs to count rows.

use rusqlite::{Connection, Params};

use crate::error::Error;

/// How many keys are kept: leases, dedup records, throttles, tallies and places.
pub(super) fn keys_kept(connection: &Connection) -> Result<i64, Error> {
    let read = "SELECT kept FROM levels WHERE name = 'keys'";
    let mut read = connection.prepare_cached(read)?;
    Ok(read.query_row([], |row| row.get(0))?)
}

/// Changes how many keys are kept.
pub(super) fn keep_keys(connection: &Connection, kept: i64) -> Result<(), Error> {
    let write = "UPDATE levels SET kept = ?1 WHERE name = 'keys'";
    connection.prepare_cached(write)?.execute([kept])?;
    Ok(())
}

/// How many outcomes are kept, and their bytes.
pub(super) struct OutcomeLevel {
    pub(super) kept: i64,
    pub(super) bytes: i64,
}

impl OutcomeLevel {
    pub(super) fn read(connection: &Connection) -> Result<Self, Error> {
        let read = "SELECT kept, bytes FROM levels WHERE name = 'outcomes'";
        let mut read = connection.prepare_cached(read)?;
        let level = read.query_row([], |row| {
            Ok(Self {
                kept: row.get(0)?,
                bytes: row.get(1)?,
            })
        })?;
        Ok(level)
    }

    pub(super) fn write(&self, connection: &Connection) -> Result<(), Error> {
        let write = "UPDATE levels SET kept = ?1, bytes = ?2 WHERE name = 'outcomes'";
        let mut write = connection.prepare_cached(write)?;
        write.execute((self.kept, self.bytes))?;
        Ok(())
    }

    /// Deletes outcomes by a statement that returns their bytes. Returns how many there were.
    pub(super) fn delete<P: Params>(
        &mut self,
        connection: &Connection,
        statement: &str,
        parameters: P,
    ) -> Result<i64, Error> {
        let mut delete = connection.prepare_cached(statement)?;
        let mut rows = delete.query(parameters)?;
        let mut deleted = 0;
        while let Some(row) = rows.next()? {
            self.bytes -= row.get::<_, i64>(0)?;
            deleted += 1;
        }
        self.kept -= deleted;
        Ok(deleted)
    }
}

/// The bytes of groups and their members.
pub(super) fn group_bytes(connection: &Connection) -> Result<i64, Error> {
    let read = "SELECT bytes FROM levels WHERE name = 'groups'";
    let mut read = connection.prepare_cached(read)?;
    Ok(read.query_row([], |row| row.get(0))?)
}

/// Changes the bytes of groups and their members.
pub(super) fn keep_group_bytes(connection: &Connection, bytes: i64) -> Result<(), Error> {
    let write = "UPDATE levels SET bytes = ?1 WHERE name = 'groups'";
    connection.prepare_cached(write)?.execute([bytes])?;
    Ok(())
}
