//! Events, and what active ones are found by.

use compact_str::CompactString;
use rusqlite::{Connection, params};

use super::call::StateCall;
use super::keys::{HashedEvent, KeyHash};
use super::sweep::Swept;
use crate::error::Error;
use crate::values::StoredText;

/// The end of what has no end.
const NEVER: i64 = i64::MAX;

impl StateCall<'_> {
    /// Sets the state of an event, whatever it was. False if there is no room for it.
    pub(super) fn track(&mut self, tracked: &HashedEvent) -> Result<bool, Error> {
        if tracked.retention.is_none() && !self.has_room_for(tracked)? {
            return Ok(false);
        }
        let put = "INSERT INTO events (k, until, namespace, tenant, fingerprint, event_type, state) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                   ON CONFLICT (k) DO UPDATE SET until = excluded.until, event_type = excluded.event_type, \
                   state = excluded.state";
        let is_new = !self
            .connection
            .prepare_cached("SELECT TRUE FROM events WHERE k = ?1")?
            .exists([tracked.key])?;
        let event = &tracked.event;
        let kept = tracked.retention;
        self.connection.prepare_cached(put)?.execute(params![
            tracked.key,
            kept.map_or(NEVER, |kept| self.now.saturating_add(kept)),
            event.namespace.as_str(),
            event.tenant.as_str(),
            event.fingerprint.as_str(),
            event.event_type.as_str(),
            event.state.as_str(),
        ])?;
        self.added(Swept::Events, i64::from(is_new));
        self.remove_entries(&tracked.key)?;
        if kept.is_none() {
            self.add_entries(tracked)?;
        }
        Ok(true)
    }

    /// True if there is room for an active event in the place of what it was.
    fn has_room_for(&mut self, tracked: &HashedEvent) -> Result<bool, Error> {
        let kept = "SELECT count(*) FROM event_entries WHERE event = ?1";
        let mut kept = self.connection.prepare_cached(kept)?;
        let kept: i64 = kept.query_row([tracked.key], |row| row.get(0))?;
        let entries = i64::try_from(tracked.entries.len()).unwrap_or(i64::MAX);
        let more = entries.saturating_add(1).saturating_sub(kept);
        Ok(more <= 0 || self.has_room_for_counts(more)?)
    }

    fn remove_entries(&mut self, event: &KeyHash) -> Result<(), Error> {
        let remove = "DELETE FROM event_entries WHERE event = ?1";
        let mut remove = self.connection.prepare_cached(remove)?;
        let removed = remove.execute([event])?;
        self.deleted(removed);
        Ok(())
    }

    fn add_entries(&mut self, tracked: &HashedEvent) -> Result<(), Error> {
        let add = "INSERT INTO event_entries (event, entry) VALUES (?1, ?2)";
        let mut add = self.connection.prepare_cached(add)?;
        for entry in &tracked.entries {
            add.execute((tracked.key, entry))?;
        }
        let entries = i64::try_from(tracked.entries.len()).unwrap_or(i64::MAX);
        self.kept_more(entries);
        Ok(())
    }
}

/// The state of the event under a key, unless it is forgotten.
pub(super) fn state_of(
    connection: &Connection,
    key: &KeyHash,
    now: i64,
) -> Result<Option<CompactString>, Error> {
    let read = "SELECT state FROM events WHERE k = ?1 AND until > ?2";
    let mut read = connection.prepare_cached(read)?;
    let mut rows = read.query((key, now))?;
    let state = rows.next()?.map(|row| row.get(0));
    Ok(state.transpose()?.map(|StoredText(state)| state))
}

/// True if an active event has this entry.
pub(super) fn is_active(connection: &Connection, entry: &KeyHash) -> Result<bool, Error> {
    let read = "SELECT TRUE FROM event_entries WHERE entry = ?1";
    Ok(connection.prepare_cached(read)?.exists([entry])?)
}
