//! The rules that an operator has enabled or disabled.

use compact_str::CompactString;
use rusqlite::Connection;

use crate::error::Error;
use crate::values::StoredText;

/// Overrides whether a rule is enabled.
pub(super) fn set(connection: &Connection, name: &str, enabled: bool) -> Result<(), Error> {
    let set = "INSERT INTO toggles (name, enabled) VALUES (?1, ?2) \
               ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled";
    connection.prepare_cached(set)?.execute((name, enabled))?;
    Ok(())
}

/// All overrides.
pub(super) fn all(connection: &Connection) -> Result<Vec<(CompactString, bool)>, Error> {
    let mut all = connection.prepare_cached("SELECT name, enabled FROM toggles")?;
    let all = all.query_map([], |row| {
        Ok((row.get(0).map(|StoredText(name)| name)?, row.get(1)?))
    })?;
    Ok(all.collect::<Result<_, _>>()?)
}
