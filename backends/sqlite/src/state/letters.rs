//! The dead letters in the order in which they were stored. Each kind has its own bound, which a table of levels counts
//! against.

use std::num::NonZeroUsize;
use std::sync::Arc;

use acteon_core::dead_letter::{DeadLetterBound, FullPolicy};
use acteon_core::encoding::{decode_dead_letter, encode_dead_letter};
use acteon_core::scope::Scope;
use acteon_core::state::{DeadLetterPage, DeadLetterQuery, FillLevel};
use acteon_core::{
    DeadLetter, DeadLetterAction, DeadLetterBounds, DeadLetterKind, DeliveryProgress, LetterFilter,
};
use compact_str::{CompactString, format_compact};
use rusqlite::{Connection, params, params_from_iter};

use crate::conditions::Conditions;
use crate::error::Error;
use crate::page::{RowPage, read_page};
use crate::time::{length_of, nanos_of};

/// The columns and the indexes of a row, without its body.
const ROW_BYTES: usize = 256;
/// The expired letters of a kind that one call deletes at most.
const EXPIRED_MAX: i64 = 256;

/// The bounds on the letters. The number of a letter is the time at which it was stored, in nanoseconds since 1970. It
/// rises from each letter to the next, whatever the clock does.
#[derive(Clone, Copy, Debug)]
pub(super) struct LetterBounds {
    pub(super) bounds: DeadLetterBounds,
    /// Of each kind.
    pub(super) bytes_max: i64,
}

/// The letters that are kept of a kind.
struct Level {
    kept: i64,
    bytes: i64,
    /// The last letter did not fit, and none has been deleted since.
    refused: bool,
}

/// What happened to a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetterStored {
    /// It is stored, and this many were evicted for it.
    Stored { evicted: usize },
    /// There is no room.
    NoRoom,
}

impl LetterBounds {
    /// Stores a letter, unless it is stored already.
    pub(super) fn store(
        &self,
        connection: &Connection,
        letter: &DeadLetter,
        now: i64,
    ) -> Result<LetterStored, Error> {
        let kind = letter.kind();
        self.forget_old(connection, kind, now)?;
        let known = "SELECT TRUE FROM letters WHERE id = ?1";
        let known = connection
            .prepare_cached(known)?
            .exists([letter.id.as_str()])?;
        if known {
            return Ok(LetterStored::Stored { evicted: 0 });
        }
        let body = encode_dead_letter(letter)?;
        let bytes = bytes_of(&body);
        let Some(evicted) = self.make_room(connection, kind, bytes)? else {
            let refused = "UPDATE letter_levels SET refused = TRUE WHERE kind = ?1";
            connection
                .prepare_cached(refused)?
                .execute([kind.as_str()])?;
            return Ok(LetterStored::NoRoom);
        };
        let last = "SELECT max(number) FROM letters";
        let last: Option<i64> = connection
            .prepare_cached(last)?
            .query_row([], |row| row.get(0))?;
        let number = last.map_or(i64::MIN, |last| last.saturating_add(1));
        insert(connection, letter, &body, number.max(now))?;
        Ok(LetterStored::Stored { evicted })
    }

    pub(super) fn list(
        &self,
        connection: &Connection,
        query: &DeadLetterQuery,
        now: i64,
    ) -> Result<DeadLetterPage, Error> {
        let mut conditions = self.kept_inside(&query.scope, now);
        filter(&mut conditions, &query.filter);
        let Conditions { sql, values } = &conditions;
        let total = format!("SELECT count(*) FROM letters{sql}");
        let total: i64 = connection
            .prepare_cached(&total)?
            .query_row(params_from_iter(values), |row| row.get(0))?;
        if let Some(after) = query.after {
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            conditions.add("number < ?", [after.into()]);
        }
        let page = select(connection, conditions, query.limit)?;
        let last = page.items.last().filter(|_| page.has_more);
        Ok(DeadLetterPage {
            next: last.map(|(number, _)| number.unsigned_abs()),
            letters: page.items.into_iter().map(|(_, letter)| letter).collect(),
            total: Some(total.unsigned_abs()),
        })
    }

    pub(super) fn find(
        &self,
        connection: &Connection,
        scope: &Scope,
        id: &str,
        now: i64,
    ) -> Result<Option<Arc<DeadLetter>>, Error> {
        let mut conditions = self.kept_inside(scope, now);
        conditions.equal("id", id);
        let found = select(connection, conditions, 1)?.items.pop();
        Ok(found.map(|(_, letter)| letter))
    }

    /// Deletes a letter. False if there is none.
    pub(super) fn delete(
        &self,
        connection: &Connection,
        scope: &Scope,
        id: &str,
        now: i64,
    ) -> Result<bool, Error> {
        let mut conditions = self.kept_inside(scope, now);
        conditions.equal("id", id);
        let Conditions { sql, values } = conditions;
        let delete = format!("DELETE FROM letters{sql}");
        let mut delete = connection.prepare_cached(&delete)?;
        Ok(delete.execute(params_from_iter(values))? > 0)
    }

    /// Replaces the progress of the action of a letter. False if there is none.
    pub(super) fn set_progress(
        &self,
        connection: &Connection,
        changed: (&Scope, &str),
        progress: DeliveryProgress,
        now: i64,
    ) -> Result<bool, Error> {
        let (scope, id) = changed;
        let found = self.find(connection, scope, id, now)?;
        let Some(mut letter) = found.map(Arc::unwrap_or_clone) else {
            return Ok(false);
        };
        let Some(action) = &mut letter.action else {
            return Ok(false);
        };
        action.progress = Some(Box::new(progress));
        let body = encode_dead_letter(&letter)?;
        let replace = "UPDATE letters SET body = ?2, bytes = ?3 WHERE id = ?1";
        let mut replace = connection.prepare_cached(replace)?;
        Ok(replace.execute((id, &body, bytes_of(&body)))? > 0)
    }

    /// How many letters of a kind are kept, and whether that is all.
    pub(super) fn level(
        &self,
        connection: &Connection,
        kind: DeadLetterKind,
        now: i64,
    ) -> Result<FillLevel, Error> {
        let mut level = Level::read(connection, kind)?;
        let expired = "SELECT count(*), total(bytes) FROM letters WHERE kind = ?1 AND number <= ?2";
        let mut expired = connection.prepare_cached(expired)?;
        let of_kind = (kind.as_str(), self.expired_until(kind, now));
        let (count, bytes): (i64, f64) =
            expired.query_row(of_kind, |row| Ok((row.get(0)?, row.get(1)?)))?;
        level.kept -= count;
        level.bytes -= bytes as i64;
        Ok(FillLevel {
            kept: level.kept.unsigned_abs(),
            full: self.full(kind, &level),
        })
    }

    fn full(&self, kind: DeadLetterKind, level: &Level) -> Option<CompactString> {
        let Level { kept, bytes, .. } = level;
        let DeadLetterBound { max, when_full, .. } = self.bounds.of(kind);
        let name = kind.as_str();
        if when_full == FullPolicy::EvictOldest {
            return None;
        }
        if *kept >= count_of(max) {
            return Some(format_compact!("{kept} of {max} {name}"));
        }
        let bytes_max = self.bytes_max;
        let is_full = level.refused || *bytes >= bytes_max;
        is_full.then(|| format_compact!("{bytes} of {bytes_max} bytes of {name}"))
    }

    /// Makes room for a letter. Returns the number of evicted letters, or `None` if no room can be made.
    fn make_room(
        &self,
        connection: &Connection,
        kind: DeadLetterKind,
        bytes: i64,
    ) -> Result<Option<usize>, Error> {
        let bound = self.bounds.of(kind);
        let mut evicted = 0;
        loop {
            let level = Level::read(connection, kind)?;
            // A letter larger than the bound is kept if it is the only one. Otherwise its source would wait forever.
            let fits = level.bytes + bytes <= self.bytes_max || level.kept == 0;
            if fits && level.kept < count_of(bound.max) {
                return Ok(Some(evicted));
            }
            if bound.when_full == FullPolicy::Block {
                return Ok(None);
            }
            let evict = "DELETE FROM letters WHERE number = (SELECT min(number) FROM letters WHERE kind = ?1)";
            let mut evict = connection.prepare_cached(evict)?;
            evicted += evict.execute([kind.as_str()])?;
        }
    }

    /// Deletes some expired letters of a kind, the oldest first.
    fn forget_old(
        &self,
        connection: &Connection,
        kind: DeadLetterKind,
        now: i64,
    ) -> Result<(), Error> {
        let forget = "DELETE FROM letters WHERE number IN (SELECT number FROM letters \
                      WHERE kind = ?1 AND number <= ?2 ORDER BY number LIMIT ?3)";
        let mut forget = connection.prepare_cached(forget)?;
        forget.execute((kind.as_str(), self.expired_until(kind, now), EXPIRED_MAX))?;
        Ok(())
    }

    /// The letters that have not expired, inside of the scope.
    fn kept_inside(&self, scope: &Scope, now: i64) -> Conditions {
        let mut conditions = Conditions::default();
        let [poison, exhausted] = DeadLetterKind::ALL.map(|kind| self.expired_until(kind, now));
        conditions.add(
            "number > CASE kind WHEN 'poison' THEN ? ELSE ? END",
            [poison.into(), exhausted.into()],
        );
        conditions.inside(scope, "action_type");
        conditions
    }

    /// The greatest number of a letter of this kind that has expired.
    fn expired_until(&self, kind: DeadLetterKind, now: i64) -> i64 {
        let retention = length_of(self.bounds.of(kind).retention);
        now.saturating_sub(retention)
    }
}

impl Level {
    fn read(connection: &Connection, kind: DeadLetterKind) -> Result<Self, Error> {
        let read = "SELECT kept, bytes, refused FROM letter_levels WHERE kind = ?1";
        let mut read = connection.prepare_cached(read)?;
        let level = read.query_row([kind.as_str()], |row| {
            Ok(Self {
                kept: row.get(0)?,
                bytes: row.get(1)?,
                refused: row.get(2)?,
            })
        })?;
        Ok(level)
    }
}

/// Adds every filter that is set.
fn filter(conditions: &mut Conditions, filter: &LetterFilter) {
    let equal = [
        ("kind", filter.kind.map(DeadLetterKind::as_str)),
        ("namespace", filter.namespace.as_deref()),
        ("tenant", filter.tenant.as_deref()),
        ("provider", filter.provider.as_deref()),
        ("action_type", filter.action_type.as_deref()),
        ("code", filter.code.as_deref()),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            conditions.equal(column, value);
        }
    }
    if let Some(from) = filter.from {
        conditions.add("created_at >= ?", [nanos_of(from).into()]);
    }
    if let Some(to) = filter.to {
        conditions.add("created_at < ?", [nanos_of(to).into()]);
    }
}

/// Stores a letter under a new number.
fn insert(
    connection: &Connection,
    letter: &DeadLetter,
    body: &[u8],
    number: i64,
) -> Result<(), Error> {
    let insert = "INSERT INTO letters (number, id, kind, created_at, namespace, tenant, provider, action_type, code, \
                  bytes, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let action = letter.action.as_ref();
    let name = |of: fn(&DeadLetterAction) -> &CompactString| action.map_or("", |it| of(it));
    connection.prepare_cached(insert)?.execute(params![
        number,
        letter.id.as_str(),
        letter.kind().as_str(),
        nanos_of(letter.created_at),
        name(|action| &action.namespace),
        name(|action| &action.tenant),
        name(|action| &action.provider),
        name(|action| &action.action_type),
        letter.code.as_str(),
        bytes_of(body),
        body,
    ])?;
    Ok(())
}

/// Reads letters with their numbers, the last stored first.
fn select(
    connection: &Connection,
    conditions: Conditions,
    limit: usize,
) -> Result<RowPage<(i64, Arc<DeadLetter>)>, Error> {
    let Conditions { sql, mut values } = conditions;
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    values.push(one_more.into());
    let select = format!("SELECT number, body FROM letters{sql} ORDER BY number DESC LIMIT ?");
    let mut select = connection.prepare_cached(&select)?;
    let rows = select.query(params_from_iter(values))?;
    read_page(rows, limit, |row| {
        let body = row.get_ref(1)?.as_bytes()?;
        let letter = decode_dead_letter(body)?;
        Ok(((row.get(0)?, Arc::new(letter)), body.len()))
    })
}

/// What a letter takes of the bound.
fn bytes_of(body: &[u8]) -> i64 {
    i64::try_from(ROW_BYTES + body.len()).unwrap_or(i64::MAX)
}

fn count_of(max: NonZeroUsize) -> i64 {
    i64::try_from(max.get()).unwrap_or(i64::MAX)
}
