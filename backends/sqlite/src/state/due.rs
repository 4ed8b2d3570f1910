//! Hands out what is due: groups and events with set timers, in one order.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{DueWork, StateError, StoredEvent, StoredGroup, Timers, Token};
use async_trait::async_trait;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, params};

use super::call::StateCall;
use super::event_rows::{columns, event_of};
use super::event_views::find;
use super::keys::KeyHash;
use super::{Shared, SqliteState};
use crate::error::Error;
use crate::time::{duration_of, length_of, time_of};

/// Who takes work, and for how many nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct DueTaker {
    pub(super) token: KeyHash,
    pub(super) lease: i64,
}

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DueKind {
    Group,
    Event,
}

impl DueTaker {
    pub(super) fn new(token: Token, lease: Duration) -> Self {
        Self {
            token: token.to_bytes(),
            lease: length_of(lease),
        }
    }
}

impl DueKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Event => "event",
        }
    }
}

impl FromSql for DueKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "group" => Ok(Self::Group),
            "event" => Ok(Self::Event),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

#[async_trait]
impl Timers for SqliteState {
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError> {
        let taker = DueTaker::new(token, lease);
        let take = move |call: &mut StateCall<'_>| call.take_due(limit, taker);
        Ok(self.call(take).await?)
    }

    async fn next_due(&self) -> Result<Option<Duration>, StateError> {
        let next = |connection: &Connection, _: &Shared, now: i64| {
            let mut next = connection.prepare_cached("SELECT min(due) FROM timers")?;
            let due: Option<i64> = next.query_row([], |row| row.get(0))?;
            Ok(due.map(|due| duration_of(due.saturating_sub(now))))
        };
        Ok(self.read(next).await?)
    }
}

impl StateCall<'_> {
    /// Takes what is due, earliest first; or again what this token has taken before.
    fn take_due(&mut self, limit: usize, taker: DueTaker) -> Result<DueWork, Error> {
        // A call that touches groups forgets some.
        self.group_bytes()?;
        let mut work = DueWork {
            now: time_of(self.now),
            groups: self.groups_held_by(taker.token)?,
            events: self.events_held_by(taker.token)?,
        };
        let mut has_more = work.is_empty();
        while has_more && work.len() < limit {
            let wanted = limit - work.len();
            let due = self.due(wanted)?;
            has_more = due.len() == wanted;
            for (kind, key) in due {
                match kind {
                    DueKind::Group => work.groups.extend(self.take_due_group(&key, taker)?),
                    DueKind::Event => work.events.extend(self.take_due_event(&key, taker)?),
                }
            }
        }
        Ok(work)
    }

    /// What is due first.
    fn due(&self, limit: usize) -> Result<Vec<(DueKind, KeyHash)>, Error> {
        let mut due = self.connection.prepare_cached(DUE)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let due = due.query_map((self.now, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(due.collect::<rusqlite::Result<_>>()?)
    }

    fn take_due_group(
        &mut self,
        key: &KeyHash,
        taker: DueTaker,
    ) -> Result<Option<StoredGroup>, Error> {
        let taken = self.take(key, taker)?;
        if taken.is_none() {
            unset_due(self.connection, key)?;
        }
        Ok(taken)
    }

    /// The timer of an event that is forgotten is deleted.
    fn take_due_event(
        &self,
        key: &KeyHash,
        taker: DueTaker,
    ) -> Result<Option<Arc<StoredEvent>>, Error> {
        let event = find(self.connection, key, self.now)?;
        if event.is_none() {
            unset_due(self.connection, key)?;
            return Ok(None);
        }
        let until = self.now.saturating_add(taker.lease);
        let work = (DueKind::Event, key);
        set_due(self.connection, work, until, Some(taker.token))?;
        Ok(event)
    }

    /// The events that a token has taken, and that were not written since.
    fn events_held_by(&self, token: KeyHash) -> Result<Vec<Arc<StoredEvent>>, Error> {
        let read = concat!(
            "SELECT ",
            columns!(),
            " FROM timers JOIN events ON events.k = timers.id \
             WHERE timers.token = ?1 AND events.until > ?2 ORDER BY timers.due, timers.rowid"
        );
        let mut read = self.connection.prepare_cached(read)?;
        let held = read.query_and_then((token, self.now), event_of)?;
        held.collect()
    }
}

/// What is due at a time, earliest first.
pub(crate) const DUE: &str =
    "SELECT kind, id FROM timers WHERE due <= ?1 ORDER BY due, rowid LIMIT ?2";

/// Sets when work is due, and who holds it.
pub(super) fn set_due(
    connection: &Connection,
    (kind, key): (DueKind, &KeyHash),
    due: i64,
    token: Option<KeyHash>,
) -> Result<(), Error> {
    let set = "INSERT INTO timers (id, kind, due, token) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (id) DO UPDATE SET due = excluded.due, token = excluded.token";
    connection
        .prepare_cached(set)?
        .execute(params![key, kind.as_str(), due, token])?;
    Ok(())
}

/// Nothing is due under a key any more.
pub(super) fn unset_due(connection: &Connection, key: &KeyHash) -> Result<(), Error> {
    let unset = "DELETE FROM timers WHERE id = ?1";
    connection.prepare_cached(unset)?.execute([key])?;
    Ok(())
}
