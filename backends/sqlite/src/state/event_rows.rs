//! The rows of events. What they mean is left to `events.rs`.

use std::sync::Arc;

use acteon_core::encoding::decode_event;
use acteon_core::state::{EventId, EventPhase, EventValue, StoredEvent};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::keys::{HashedWrite, KeyHash};
use crate::error::Error;
use crate::time::{length_of, nanos_of};
use crate::values::StoredText;

/// The end of what has no end.
const NEVER: i64 = i64::MAX;

/// What [`event_of`] reads.
macro_rules! columns {
    () => {
        "namespace, tenant, fingerprint, version, body"
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
               state, carried, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
               ON CONFLICT (k) DO UPDATE SET until = excluded.until, version = excluded.version, \
               token = excluded.token, newest = excluded.newest, event_type = excluded.event_type, \
               state = excluded.state, carried = excluded.carried, body = excluded.body";
    let EventId {
        namespace,
        tenant,
        fingerprint,
    } = &write.write.event;
    let record = &write.write.record;
    let until = match record.phase {
        EventPhase::Active => NEVER,
        EventPhase::Ended(retention) => now.saturating_add(length_of(retention)),
    };
    connection.prepare_cached(put)?.execute(params![
        write.key,
        until,
        write.next_version().cast_signed(),
        token,
        newest_of(nanos_of(record.updated_at)),
        namespace.as_str(),
        tenant.as_str(),
        fingerprint.as_str(),
        record.event_type.as_str(),
        record.state.as_str(),
        json_of(&record.values),
        write.body,
    ])?;
    Ok(())
}

/// The number by which the last written event comes first.
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
pub(super) fn event_of(row: &Row<'_>) -> Result<Arc<StoredEvent>, Error> {
    let text = |at: usize| row.get(at).map(|StoredText(text)| text);
    Ok(Arc::new(StoredEvent {
        event: EventId {
            namespace: text(0)?,
            tenant: text(1)?,
            fingerprint: text(2)?,
        },
        version: row.get::<_, i64>(3)?.cast_unsigned(),
        record: decode_event(row.get_ref(4)?.as_bytes()?)?,
    }))
}
