//! How connections are made: the one that writes, the readers, and the settings of SQLite that keep both safe.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::config::Synchronous;

/// Older versions of SQLite can damage a file when its log is reset (3.7.0 to 3.51.2).
pub(crate) const SQLITE_MIN: i32 = 3_051_003;

/// Statements that a connection keeps compiled.
const STATEMENTS_MAX: usize = 128;
/// The pages of the log after which a commit copies it into the file.
const CHECKPOINT_PAGES: u32 = 10_000;
/// What is left of a log that has grown beyond it, once it is copied.
const LOG_BYTES: u32 = 64 << 20;
/// The pages that the writer keeps in memory, in KiB.
const WRITER_CACHE_KIB: i32 = 64 << 10;
/// The same for each reader.
const READER_CACHE_KIB: i32 = 8 << 10;
/// How long a statement waits for another program that has locked the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// True if this version of SQLite is safe to use.
pub(crate) fn is_safe(version: i32) -> bool {
    version >= SQLITE_MIN
}

/// The connection that writes. Creates the file, readable by its owner only, if there is none.
pub(crate) fn writer(path: &Path, synchronous: Synchronous) -> rusqlite::Result<Connection> {
    create(path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| {
        match row.get_ref(0)?.as_str()? {
            "wal" => Ok(()),
            // Some network file systems.
            _ => Err(rusqlite::Error::InvalidQuery),
        }
    })?;
    connection.pragma_update(None, "synchronous", synchronous.as_str())?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
}

/// A connection that reads a file, whether or not a server has it open. Unlike a reader it may write, so that it removes
/// the log that it had to create.
pub(crate) fn copier(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, READER_CACHE_KIB)
}

fn open(path: &Path, access: OpenFlags, cache_kib: i32) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time. A path that begins with `file:` is a path.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options.truncate(false).open(path).map(drop)
}
