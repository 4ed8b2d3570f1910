//! Remembered outcomes: a courtesy to callers that ask again. They make room for themselves, the oldest first, and their
//! bound refuses nothing.

use acteon_core::ActionOutcome;
use acteon_core::encoding::decode_outcome;

use super::call::StateCall;
use super::keys::{EncodedOutcome, KeyHash};
use super::levels::OutcomeLevel;
use crate::error::Error;

/// The columns and the index of a row, without its body.
const ROW_BYTES: usize = 80;
/// The oldest outcomes that are looked at for each new one, and deleted if they have expired.
const SWEPT_PER_ROW: i64 = 4;
/// The oldest outcomes that are evicted together.
const EVICTED_MAX: i64 = 64;

impl StateCall<'_> {
    /// The outcome remembered under a key. One that cannot be read is forgotten: a newer server may have written it.
    pub(super) fn recall(&self, key: &KeyHash) -> Result<Option<Box<ActionOutcome>>, Error> {
        let read = "SELECT body FROM outcomes WHERE k = ?1 AND until > ?2";
        let mut read = self.connection.prepare_cached(read)?;
        let mut rows = read.query((key, self.now))?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let outcome = decode_outcome(row.get_ref(0)?.as_bytes()?);
        Ok(outcome.ok().map(Box::new))
    }

    /// Remembers an outcome in place of the one under its key.
    pub(super) fn remember(&mut self, outcome: &EncodedOutcome) -> Result<(), Error> {
        let connection = self.connection;
        let mut level = match self.outcomes.take() {
            Some(level) => level,
            None => OutcomeLevel::read(connection)?,
        };
        let replace = "DELETE FROM outcomes WHERE k = ?1 RETURNING bytes";
        level.delete(connection, replace, [&outcome.under])?;
        let expire = "DELETE FROM outcomes WHERE until <= ?1 AND rowid IN \
                      (SELECT rowid FROM outcomes ORDER BY rowid LIMIT ?2) RETURNING bytes";
        level.delete(connection, expire, (self.now, SWEPT_PER_ROW))?;
        let bytes = i64::try_from(ROW_BYTES + outcome.body.len()).unwrap_or(i64::MAX);
        let insert = "INSERT INTO outcomes (k, until, bytes, body) VALUES (?1, ?2, ?3, ?4)";
        let until = self.now.saturating_add(outcome.ttl);
        let mut insert = connection.prepare_cached(insert)?;
        insert.execute((&outcome.under, until, bytes, &outcome.body))?;
        level.kept += 1;
        level.bytes += bytes;
        let limits = self.shared.outcomes;
        while level.kept > limits.count_max || level.bytes > limits.bytes_max {
            let evict = "DELETE FROM outcomes WHERE rowid IN \
                         (SELECT rowid FROM outcomes ORDER BY rowid LIMIT ?1) RETURNING bytes";
            let surplus = (level.kept - limits.count_max).clamp(1, EVICTED_MAX);
            if level.delete(connection, evict, [surplus])? == 0 {
                break;
            }
        }
        self.outcomes = Some(level);
        Ok(())
    }
}
