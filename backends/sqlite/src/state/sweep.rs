//! Deletes expired rows a few at a time, as new ones arrive: a slice of each table after the one before. There is no index
//! on the time of expiry, which each renewal would have to change.

use rusqlite::Connection;

use crate::error::Error;

/// How long an expired lease or claim is kept, in nanoseconds, so that a delivery that outlived it can be confirmed: as
/// long as the longest lease.
const AFTERLIFE: i64 = 3600 * 1_000_000_000;

/// A table whose rows expire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Swept {
    Holds,
    Counts,
    Places,
    Events,
    EventEnds,
}

impl Swept {
    pub(super) const ALL: [Self; 5] = [
        Self::Holds,
        Self::Counts,
        Self::Places,
        Self::Events,
        Self::EventEnds,
    ];

    /// Where a slice of this many rows ends.
    fn slice(self) -> &'static str {
        match self {
            Self::Holds => {
                "SELECT max(rowid), count(*) FROM (SELECT rowid FROM holds WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)"
            }
            Self::Counts => {
                "SELECT max(rowid), count(*) FROM (SELECT rowid FROM counts WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)"
            }
            Self::Places => {
                "SELECT max(rowid), count(*) FROM (SELECT rowid FROM places WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)"
            }
            Self::Events => {
                "SELECT max(rowid), count(*) FROM (SELECT rowid FROM events WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)"
            }
            Self::EventEnds => {
                "SELECT max(rowid), count(*) FROM (SELECT rowid FROM event_ends WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)"
            }
        }
    }

    /// Deletes the rows of a slice that expired before a time, and pending ones that expired before another.
    fn delete(self) -> &'static str {
        match self {
            Self::Holds => {
                "DELETE FROM holds WHERE rowid > ?1 AND rowid <= ?2 AND until <= iif(token IS NULL, ?3, ?4)"
            }
            Self::Counts => {
                "DELETE FROM counts WHERE rowid > ?1 AND rowid <= ?2 AND until <= max(?3, ?4)"
            }
            Self::Places => {
                "DELETE FROM places WHERE rowid > ?1 AND rowid <= ?2 AND until <= max(?3, ?4)"
            }
            Self::Events => {
                "DELETE FROM events WHERE rowid > ?1 AND rowid <= ?2 AND until <= max(?3, ?4)"
            }
            Self::EventEnds => {
                "DELETE FROM event_ends WHERE rowid > ?1 AND rowid <= ?2 AND until <= max(?3, ?4)"
            }
        }
    }
}

/// Where the next slice of each table begins.
#[derive(Debug, Default)]
pub(super) struct Sweeper([i64; Swept::ALL.len()]);

impl Sweeper {
    /// Sweeps the next rows of a table. Returns how many were deleted.
    pub(super) fn sweep(
        &mut self,
        connection: &Connection,
        table: Swept,
        rows: i64,
        now: i64,
    ) -> Result<i64, Error> {
        let begin = &mut self.0[table as usize];
        let mut slice = connection.prepare_cached(table.slice())?;
        let slice = slice.query_row((*begin, rows), |row| Ok((row.get(0)?, row.get(1)?)));
        let (end, found): (Option<i64>, i64) = slice?;
        let end = end.unwrap_or(*begin);
        let mut delete = connection.prepare_cached(table.delete())?;
        let deleted = delete.execute((*begin, end, now, now.saturating_sub(AFTERLIFE)))?;
        // After the last row, the next slice is the first one.
        *begin = if found < rows { 0 } else { end };
        Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
    }
}
