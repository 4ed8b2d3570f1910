//! The rows of events. What they mean is left to `events.rs`.

use std::sync::Arc;

use acteon_core::state::{EventId, EventPhase, EventRecord, EventValue, StoredEvent};
use bytes::Bytes;
use compact_str::CompactString;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::keys::{HashedWrite, KeyHash};
use crate::error::Error;
use crate::time::{duration_of, length_of, nanos_of, time_of};
use crate::values::{StoredJson, StoredText};

/// The end of what has no end.
const NEVER: i64 = i64::MAX;

/// What [`event_of`] reads.
macro_rules! columns {
    () => {
        "namespace, tenant, fingerprint, version, event_type, state, retention, carried, newest, body"
    };
}
pub(super) use columns;

/// What decides whether an event may be written.
pub(super) struct WrittenRow {
    pub(super) version: u64,
    /// The hold that wrote it.
    pub(super) token: KeyHash,
    pub(super) until: i64,
}

impl WrittenRow {
    /// The row of an event, forgotten or not.
    pub(super) fn read(connection: &Connection, key: &KeyHash) -> Result<Option<Self>, Error> {
        let read = "SELECT version, token, until FROM events WHERE k = ?1";
        let mut read = connection.prepare_cached(read)?;
        let row = read.query_row([key], |row| {
            Ok(Self {
                version: row.get::<_, i64>(0)?.cast_unsigned(),
                token: row.get(1)?,
                until: row.get(2)?,
            })
        });
        Ok(row.optional()?)
    }
}

/// Stores an event in the version after the one that its write expects.
pub(super) fn put(
    connection: &Connection,
    write: &HashedWrite,
    token: KeyHash,
    now: i64,
) -> Result<(), Error> {
    let put = "INSERT INTO events (k, until, version, token, newest, namespace, tenant, fingerprint, event_type, \
               state, retention, carried, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
               ON CONFLICT (k) DO UPDATE SET until = excluded.until, version = excluded.version, \
               token = excluded.token, newest = excluded.newest, event_type = excluded.event_type, \
               state = excluded.state, retention = excluded.retention, carried = excluded.carried, \
               body = excluded.body";
    let EventId {
        namespace,
        tenant,
        fingerprint,
    } = &write.write.event;
    let record = &write.write.record;
    let retention = match record.phase {
        EventPhase::Active => None,
        EventPhase::Ended(retention) => Some(length_of(retention)),
    };
    connection.prepare_cached(put)?.execute(params![
        write.key,
        retention.map_or(NEVER, |kept| now.saturating_add(kept)),
        write.next_version().cast_signed(),
        token,
        newest_of(nanos_of(record.updated_at)),
        namespace.as_str(),
        tenant.as_str(),
        fingerprint.as_str(),
        record.event_type.as_str(),
        record.state.as_str(),
        retention,
        json_of(&record.values),
        &record.body[..],
    ])?;
    Ok(())
}

/// The number by which the last written event comes first. It is its own inverse.
pub(super) fn newest_of(updated_at: i64) -> i64 {
    !updated_at
}

/// Pairs of name and value.
fn json_of(values: &[EventValue]) -> String {
    let pairs = values
        .iter()
        .map(|value| Value::from([value.name.as_str(), value.value.as_str()]));
    Value::from_iter(pairs).to_string()
}

/// An event of a row of [`columns`].
pub(super) fn event_of(row: &Row<'_>) -> rusqlite::Result<Arc<StoredEvent>> {
    let text = |at: usize| row.get(at).map(|StoredText(text)| text);
    let retention: Option<i64> = row.get(6)?;
    let StoredJson(carried): StoredJson<Vec<(CompactString, CompactString)>> = row.get(7)?;
    let values = carried.into_iter();
    Ok(Arc::new(StoredEvent {
        event: EventId {
            namespace: text(0)?,
            tenant: text(1)?,
            fingerprint: text(2)?,
        },
        version: row.get::<_, i64>(3)?.cast_unsigned(),
        record: EventRecord {
            event_type: text(4)?,
            state: text(5)?,
            phase: retention.map_or(EventPhase::Active, |kept| {
                EventPhase::Ended(duration_of(kept))
            }),
            values: values
                .map(|(name, value)| EventValue { name, value })
                .collect(),
            updated_at: time_of(newest_of(row.get(8)?)),
            body: Bytes::from(row.get::<_, Vec<u8>>(9)?),
        },
    }))
}
