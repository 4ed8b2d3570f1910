//! How events are read: one, pages of them, and whether any is active.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    EventCursor, EventFilter, EventId, EventPage, EventQuery, Events, GRACE_MAX, StateError,
    StoredEvent,
};
use async_trait::async_trait;
use compact_str::CompactString;
use rusqlite::{Connection, params_from_iter};

use super::event_rows::{columns, event_of, newest_of};
use super::keys::{KeyHash, hashed_event};
use super::{Shared, SqliteState};
use crate::conditions::{Conditions, Statement};
use crate::error::Error;
use crate::page::read_page;
use crate::time::{length_of, nanos_of, time_of};

#[async_trait]
impl Events for SqliteState {
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StateError> {
        let query = query.clone();
        let list =
            move |connection: &Connection, _: &Shared, now: i64| list(connection, &query, now);
        Ok(self.read(list).await?)
    }

    async fn event(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StateError> {
        let key = hashed_event(event);
        let find = move |connection: &Connection, _: &Shared, now: i64| find(connection, &key, now);
        let found = self.read(find).await?;
        let is_inside = |found: &Arc<StoredEvent>| {
            let event_type = &found.record.event_type;
            scope.covers(&event.namespace, &event.tenant, event_type)
        };
        Ok(found.filter(is_inside))
    }
}

/// The event under a key, unless it is forgotten.
pub(super) fn find(
    connection: &Connection,
    key: &KeyHash,
    now: i64,
) -> Result<Option<Arc<StoredEvent>>, Error> {
    let read = concat!(
        "SELECT ",
        columns!(),
        " FROM events WHERE k = ?1 AND until > ?2"
    );
    let mut read = connection.prepare_cached(read)?;
    let mut rows = read.query((key, now))?;
    rows.next()?.map(event_of).transpose()
}

/// The state of the event under a key, unless it is forgotten.
pub(super) fn state_of(
    connection: &Connection,
    (event, grace): (&KeyHash, Duration),
    now: i64,
) -> Result<Option<CompactString>, Error> {
    let found = find(connection, event, now)?;
    Ok(found.map(|found| found.record.state_at(time_of(now), grace).clone()))
}

/// True if an active event has this entry, or one that ended less than `grace` ago had it.
pub(super) fn is_active(
    connection: &Connection,
    (entry, grace): (&KeyHash, i64),
    now: i64,
) -> Result<bool, Error> {
    let read = "SELECT TRUE FROM event_entries WHERE entry = ?1 \
                UNION ALL SELECT TRUE FROM event_ends WHERE k = ?1 AND until > ?2";
    let mut read = connection.prepare_cached(read)?;
    // Without grace no end counts, even if the clock was set back since.
    let until = match grace {
        0 => i64::MAX,
        _ => now.saturating_add(length_of(GRACE_MAX) - grace),
    };
    Ok(read.exists((entry, until))?)
}

/// Lists events, the last written first.
fn list(connection: &Connection, query: &EventQuery, now: i64) -> Result<EventPage, Error> {
    let Statement { sql, values } = events_page(query, now);
    let mut list = connection.prepare_cached(&sql)?;
    let rows = list.query(params_from_iter(values))?;
    let page = read_page(rows, query.limit, |row| {
        let event = event_of(row)?;
        Ok((event, row.get_ref("body")?.as_bytes()?.len()))
    })?;
    let last = page.items.last().filter(|_| page.has_more);
    Ok(EventPage {
        next: last.map(|event| EventCursor::from(&**event)),
        events: page.items,
    })
}

/// One page of events, by the index of a filter that is set.
pub(crate) fn events_page(query: &EventQuery, now: i64) -> Statement {
    let mut conditions = Conditions::default();
    let index = match &query.filter {
        filter if filter.tenant.is_some() => "events_tenant",
        filter if filter.namespace.is_some() => "events_namespace",
        _ => "events_newest",
    };
    select(&mut conditions, &query.filter);
    if let Some(EventCursor { updated_at, event }) = &query.after {
        let EventId {
            namespace,
            tenant,
            fingerprint,
        } = event;
        let names = [namespace, tenant, fingerprint].map(|name| name.to_string().into());
        let newest = newest_of(nanos_of(*updated_at)).into();
        conditions.add(
            "(newest, namespace, tenant, fingerprint) > (?, ?, ?, ?)",
            [newest].into_iter().chain(names),
        );
    }
    conditions.add("until > ?", [now.into()]);
    conditions.inside(&query.scope, "event_type");
    let Conditions { sql, mut values } = conditions;
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    values.push(limit.saturating_add(1).into());
    let columns = columns!();
    let sql = format!(
        "SELECT {columns} FROM events INDEXED BY {index}{sql} \
         ORDER BY newest, namespace, tenant, fingerprint LIMIT ?"
    );
    Statement { sql, values }
}

/// Adds every filter that is set.
fn select(conditions: &mut Conditions, filter: &EventFilter) {
    let equal = [
        ("tenant", &filter.tenant),
        ("namespace", &filter.namespace),
        ("event_type", &filter.event_type),
        ("state", &filter.state),
    ];
    for (column, wanted) in equal {
        if let Some(wanted) = wanted {
            conditions.equal(column, wanted);
        }
    }
    for value in &filter.values {
        let pair = [&value.name, &value.value].map(|text| text.to_string().into());
        conditions.add(
            "EXISTS (SELECT TRUE FROM json_each(carried) AS pair \
             WHERE pair.value ->> 0 = ? AND pair.value ->> 1 = ?)",
            pair,
        );
    }
}
