//! Silences by their ids. Each write forgets some that ended long ago, and never one that is not finished.

use std::sync::Arc;

use acteon_core::encoding::{decode_silence, encode_silence};
use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::silence::{EVERY_NAME, Silence, SilencePhase};
use acteon_core::state::{
    EXPIRED_SILENCE_TTL, LiveSilences, SilenceAnswer, SilencePage, SilenceQuery, SilenceWrite,
    Silences, StateError, StoredSilence,
};
use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::call::StateCall;
use super::{Shared, SqliteState};
use crate::conditions::{Conditions, Statement};
use crate::error::Error;
use crate::page::read_page;
use crate::time::{length_of, nanos_of, time_of};

/// The finished silences that a write forgets at most.
const FORGOTTEN_PER_WRITE: i64 = 64;

#[async_trait]
impl Silences for SqliteState {
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError> {
        let body = encode_silence(&write.silence).map_err(Error::from)?;
        let write = write.clone();
        let write = move |call: &mut StateCall<'_>| {
            let answer = put(call.connection, &write, &body, call.now)?;
            forget_old(call.connection, call.now)?;
            Ok(answer)
        };
        Ok(self.call(write).await?)
    }

    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError> {
        let read = move |connection: &Connection, _: &Shared, now: i64| {
            // Read first: a write in between is sent once more, and never missed.
            let revision = revision(connection)?;
            let silences = match known == Some(revision) {
                true => None,
                false => Some(live(connection)?),
            };
            Ok(LiveSilences {
                now: time_of(now),
                revision,
                silences,
            })
        };
        Ok(self.read(read).await?)
    }

    async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, StateError> {
        let query = query.clone();
        let list =
            move |connection: &Connection, _: &Shared, now: i64| list(connection, &query, now);
        Ok(self.read(list).await?)
    }

    async fn silence(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<StoredSilence>>, StateError> {
        let id = id.to_owned();
        let find = move |connection: &Connection, _: &Shared, now: i64| find(connection, &id, now);
        let found = self.read(find).await?;
        Ok(found.filter(|found| scope.shows_silence(&found.silence)))
    }
}

/// Writes a silence, if it has the expected version.
fn put(
    connection: &Connection,
    write: &SilenceWrite,
    body: &[u8],
    now: i64,
) -> Result<SilenceAnswer, Error> {
    let silence = &write.silence;
    let present = find(connection, &silence.id, now)?;
    let version = present.as_ref().map_or(0, |present| present.version);
    if version != write.expected {
        return Ok(SilenceAnswer::Conflict(present));
    }
    if version == 0 && !has_room(connection, write, now)? {
        return Ok(SilenceAnswer::Full);
    }
    let put = "INSERT INTO silences (id, version, namespace, tenant, action_type, starts_at, ends_at, finished, body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
               ON CONFLICT (id) DO UPDATE SET version = excluded.version, namespace = excluded.namespace, \
               tenant = excluded.tenant, action_type = excluded.action_type, starts_at = excluded.starts_at, \
               ends_at = excluded.ends_at, finished = excluded.finished, body = excluded.body";
    connection.prepare_cached(put)?.execute(params![
        silence.id.as_str(),
        (version + 1).cast_signed(),
        silence.namespace.as_str(),
        silence.tenant.as_str(),
        silence.action_type().unwrap_or(EVERY_NAME),
        nanos_of(silence.starts_at),
        nanos_of(silence.ends_at),
        silence.is_finished,
        body,
    ])?;
    let count = "UPDATE silence_writes SET revision = revision + 1";
    connection.prepare_cached(count)?.execute([])?;
    if silence.is_finished {
        make_room(connection, silence, bound(write.live_max))?;
    }
    Ok(SilenceAnswer::Written(version + 1))
}

/// Keeps this many finished silences of the namespace and tenant of one: the ones that ended last.
fn make_room(connection: &Connection, like: &Silence, finished_max: i64) -> Result<(), Error> {
    let surplus = "DELETE FROM silences WHERE id IN (SELECT id FROM silences INDEXED BY silences_finished \
                   WHERE namespace = ?1 AND tenant = ?2 AND finished = 1 \
                   ORDER BY ends_at DESC, id DESC LIMIT -1 OFFSET ?3)";
    let mut surplus = connection.prepare_cached(surplus)?;
    surplus.execute((like.namespace.as_str(), like.tenant.as_str(), finished_max))?;
    Ok(())
}

fn forget_old(connection: &Connection, now: i64) -> Result<(), Error> {
    let forget = "DELETE FROM silences WHERE id IN (SELECT id FROM silences INDEXED BY silences_ended \
                  WHERE finished = 1 AND ends_at <= ?1 ORDER BY ends_at LIMIT ?2)";
    let mut forget = connection.prepare_cached(forget)?;
    forget.execute((forgotten_until(now), FORGOTTEN_PER_WRITE))?;
    Ok(())
}

/// The last end of a finished silence that is forgotten.
fn forgotten_until(now: i64) -> i64 {
    now.saturating_sub(length_of(EXPIRED_SILENCE_TTL))
}

/// Whether the namespace and tenant of a new silence have room for it. No more are counted than may be unfinished.
fn has_room(connection: &Connection, write: &SilenceWrite, now: i64) -> Result<bool, Error> {
    let count = "SELECT count(*), coalesce(sum(ends_at > ?3), 0) FROM (SELECT ends_at FROM silences \
                 INDEXED BY silences_live WHERE namespace = ?1 AND tenant = ?2 AND finished = 0 LIMIT ?4)";
    let mut count = connection.prepare_cached(count)?;
    let silence = &write.silence;
    let unfinished_max = bound(write.unfinished_max());
    let values = (
        silence.namespace.as_str(),
        silence.tenant.as_str(),
        now,
        unfinished_max,
    );
    let counts: (i64, i64) = count.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (unfinished, live) = counts;
    Ok(unfinished < unfinished_max && live < bound(write.live_max))
}

/// A bound as SQLite counts.
fn bound(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn revision(connection: &Connection) -> Result<u64, Error> {
    let read = "SELECT revision FROM silence_writes";
    let mut read = connection.prepare_cached(read)?;
    let revision: i64 = read.query_row([], |row| row.get(0))?;
    Ok(revision.cast_unsigned())
}

fn live(connection: &Connection) -> Result<Vec<Arc<StoredSilence>>, Error> {
    let read = "SELECT version, body FROM silences INDEXED BY silences_live WHERE finished = 0";
    let mut read = connection.prepare_cached(read)?;
    let mut rows = read.query([])?;
    let mut silences = Vec::new();
    while let Some(row) = rows.next()? {
        silences.push(silence_of(row)?);
    }
    Ok(silences)
}

/// The silence of this id, unless it is forgotten.
fn find(connection: &Connection, id: &str, now: i64) -> Result<Option<Arc<StoredSilence>>, Error> {
    let read =
        "SELECT version, body FROM silences WHERE id = ?1 AND (finished = 0 OR ends_at > ?2)";
    let mut read = connection.prepare_cached(read)?;
    let mut rows = read.query((id, forgotten_until(now)))?;
    rows.next()?.map(silence_of).transpose()
}

/// Lists silences, the one with the greatest id first.
fn list(connection: &Connection, query: &SilenceQuery, now: i64) -> Result<SilencePage, Error> {
    let Statement { sql, values } = silences_page(query, now);
    let mut list = connection.prepare_cached(&sql)?;
    let rows = list.query(params_from_iter(values))?;
    let page = read_page(rows, query.limit, |row| {
        Ok((silence_of(row)?, row.get_ref("body")?.as_bytes()?.len()))
    })?;
    let last = page.items.last().filter(|_| page.has_more);
    Ok(SilencePage {
        now: time_of(now),
        next: last.map(|last| last.silence.id.clone()),
        silences: page.items,
    })
}

/// One page of silences, by the index of a filter that is set. Those of the name and those of every name are two lists
/// in the order of ids, which SQLite merges.
pub(crate) fn silences_page(query: &SilenceQuery, now: i64) -> Statement {
    let filters = [
        ("tenant", &query.tenant, "silences_tenant"),
        ("namespace", &query.namespace, "silences_namespace"),
    ];
    let set = filters.iter().find_map(|(column, wanted, index)| {
        let wanted = wanted.as_deref()?;
        Some((*column, wanted, *index))
    });
    let mut page = Statement {
        sql: String::new(),
        values: Vec::new(),
    };
    match set {
        None => page.add("", matching(query, now, None)),
        Some((column, wanted, index)) => {
            let by = format!(" INDEXED BY {index}");
            page.add(&by, matching(query, now, Some((column, wanted))));
            if wanted != EVERY_NAME {
                page.add(&by, matching(query, now, Some((column, EVERY_NAME))));
            }
        }
    }
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    page.sql += " ORDER BY id DESC LIMIT ?";
    page.values.push(limit.saturating_add(1).into());
    page
}

impl Statement {
    /// Adds the rows that match these conditions.
    fn add(&mut self, indexed_by: &str, conditions: Conditions) {
        let union = if self.sql.is_empty() {
            ""
        } else {
            " UNION ALL "
        };
        let Conditions { sql, values } = conditions;
        self.sql += &format!("{union}SELECT version, body, id FROM silences{indexed_by}{sql}");
        self.values.extend(values);
    }
}

/// What must hold of a listed silence, and this column must have this value.
fn matching(query: &SilenceQuery, now: i64, indexed: Option<(&str, &str)>) -> Conditions {
    let mut conditions = Conditions::default();
    if let Some((column, name)) = indexed {
        conditions.equal(column, name);
    }
    for (column, wanted) in [("tenant", &query.tenant), ("namespace", &query.namespace)] {
        let is_indexed = indexed.is_some_and(|(indexed, _)| indexed == column);
        if let Some(wanted) = wanted
            && !is_indexed
        {
            let names = [wanted.as_str(), EVERY_NAME].map(|name| Value::from(name.to_owned()));
            conditions.add(&format!("{column} IN (?, ?)"), names);
        }
    }
    if let Some(after) = &query.after {
        conditions.add("id < ?", [after.to_string().into()]);
    }
    conditions.add(
        "(finished = 0 OR ends_at > ?)",
        [forgotten_until(now).into()],
    );
    let times = match query.phase {
        None => None,
        Some(SilencePhase::Pending) => Some("ends_at > ? AND starts_at > ?"),
        Some(SilencePhase::Active) => Some("ends_at > ? AND starts_at <= ?"),
        Some(SilencePhase::Expired) => Some("ends_at <= ?"),
    };
    if let Some(times) = times {
        let times_asked = times.matches('?').count();
        conditions.add(times, vec![now.into(); times_asked]);
    }
    conditions.inside(&widened(&query.scope), "action_type");
    conditions
}

/// The scope of silences: each grant covers the silences of every name as well.
fn widened(scope: &Scope) -> Scope {
    let every = |patterns: &[Pattern]| match patterns {
        [] => Vec::new(),
        patterns => [patterns, &[Pattern::Exact(EVERY_NAME.into())]].concat(),
    };
    Scope::new(scope.grants().iter().map(|grant| ScopeGrant {
        tenants: every(&grant.tenants),
        namespaces: every(&grant.namespaces),
        action_types: every(&grant.action_types),
    }))
}

/// A silence of a row of its version and its body.
fn silence_of(row: &Row<'_>) -> Result<Arc<StoredSilence>, Error> {
    Ok(Arc::new(StoredSilence {
        version: row.get::<_, i64>(0)?.cast_unsigned(),
        silence: decode_silence(row.get_ref(1)?.as_bytes()?)?,
    }))
}
