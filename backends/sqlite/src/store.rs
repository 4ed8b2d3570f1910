//! One file: its lock, its writer and its readers. State and audit share it if they name the same path.

use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acteon_core::Embedded;
use acteon_core::registry::BuildError;
use async_trait::async_trait;
use parking_lot::RwLock;
use rusqlite::Connection;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::backup;
use crate::config::Synchronous;
use crate::connection::{self, is_safe};
use crate::error::Error;
use crate::events::FileEvents;
use crate::lock::{FileLock, LockError};
use crate::readers::Readers;
use crate::schema;
use crate::writer::Writer;

/// Files up to this size are checked as a whole when they are opened.
const CHECKED_BYTES_MAX: i64 = 1 << 30;

/// A file, open or not.
pub(crate) struct Store {
    path: PathBuf,
    synchronous: Synchronous,
    opened: RwLock<Option<OpenFile>>,
}

#[async_trait]
impl Embedded for Store {
    fn path(&self) -> &Path {
        &self.path
    }

    async fn open(&self) -> Result<(), BuildError> {
        if self.opened.read().is_some() {
            return Ok(());
        }
        let path = self.path.clone();
        let synchronous = self.synchronous;
        let opened = spawn_blocking(move || OpenFile::open(path, synchronous)).await;
        let cut_off = |error| BuildError::new("opening the file was cut off").with_source(error);
        let opened = opened.map_err(cut_off)??;
        *self.opened.write() = Some(opened);
        Ok(())
    }

    async fn close(&self) {
        let opened = self.opened.write().take();
        if let Some(file) = opened {
            file.readers.close().await;
            file.writer.close().await;
        }
    }

    async fn back_up(&self, to: &Path) -> Result<(), BuildError> {
        let from = self.path.clone();
        let to = to.to_owned();
        let copied = spawn_blocking(move || backup::copy(&from, &to)).await;
        let cut_off = |error| BuildError::new("copying the file was cut off").with_source(error);
        copied.map_err(cut_off)?
    }
}

/// A file in use.
#[derive(Clone)]
struct OpenFile {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    identity: FileIdentity,
}

/// What a file is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Store {
    /// The file at `path`, which is not touched yet.
    pub(crate) fn at(path: PathBuf, synchronous: Synchronous) -> Self {
        Self {
            path,
            synchronous,
            opened: RwLock::default(),
        }
    }

    pub(crate) fn synchronous(&self) -> Synchronous {
        self.synchronous
    }

    /// Reads. Each statement sees what was answered before.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.file()?.readers.call(work).await
    }

    /// Writes, in a transaction that other calls may share.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.file()?.writer.call(work).await
    }

    /// Fails as long as writes do. Until they succeed, it writes a little itself.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let file = self.file()?;
        if file.writer.failure().is_none() {
            return Ok(());
        }
        let probe = |connection: &Connection| {
            let probe = "UPDATE schema SET probed_at = probed_at + 1";
            connection.prepare_cached(probe)?.execute([])?;
            Ok(())
        };
        file.writer.call(probe).await?;
        file.writer.failure().map_or(Ok(()), Err)
    }

    /// The open file. Fails if its path names another one by now: what is written to the old one would be lost.
    fn file(&self) -> Result<OpenFile, Error> {
        let file = self.opened.read().clone().ok_or(Error::Closed)?;
        let found = metadata(&self.path).ok();
        let is_same = found.is_some_and(|found| FileIdentity::from(&found) == file.identity);
        match is_same {
            true => Ok(file),
            false => Err(Error::Moved),
        }
    }
}

impl OpenFile {
    fn open(path: PathBuf, synchronous: Synchronous) -> Result<Self, BuildError> {
        let started = Instant::now();
        if !is_safe(rusqlite::version_number()) {
            return Err(BuildError::new(
                "this binary contains an SQLite older than 3.51.3, which can damage its file",
            ));
        }
        let refused =
            |problem: &str| BuildError::at("path", format!("`{}` {problem}", path.display()));
        let lock = FileLock::acquire(&path).map_err(|error| match error {
            LockError::Held(holder) => refused(&format!(
                "is used by {holder}; only one server can use a file"
            )),
            LockError::Io(error) => refused("cannot be locked").with_source(error),
        })?;
        let connection = connection::writer(&path, synchronous);
        let mut connection =
            connection.map_err(|error| refused("cannot be opened").with_source(error))?;
        let found = metadata(&path);
        let found = found.map_err(|error| refused("cannot be read").with_source(error))?;
        if found.nlink() > 1 {
            return Err(refused(
                "has another name (a hard link), under which a second server could use it; remove that name",
            ));
        }
        let version = schema::migrate(&mut connection);
        let version = version.map_err(|error| refused("cannot be used").with_source(error))?;
        let damage = damage(&connection);
        let damage = damage.map_err(|error| refused("cannot be checked").with_source(error))?;
        if let Some(damage) = damage {
            return Err(refused(&format!("is damaged; restore a backup: {damage}")));
        }
        let events = FileEvents::begin(&path);
        events.opened(version, started.elapsed());
        let writer = Writer::start(connection, lock, events);
        let writer = writer.map_err(|error| refused("cannot be served").with_source(error))?;
        Ok(Self {
            writer: Arc::new(writer),
            readers: Readers::of(path),
            identity: (&found).into(),
        })
    }
}

/// The first damage that SQLite finds. Of a large file, the audit trail is left out, which would take minutes.
fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes: i64 = connection.query_row(bytes, [], |row| row.get(0))?;
    let tables = match bytes {
        ..=CHECKED_BYTES_MAX => "SELECT quick_check FROM pragma_quick_check",
        _ => {
            "SELECT quick_check FROM sqlite_schema, pragma_quick_check(sqlite_schema.name) \
             WHERE sqlite_schema.type = 'table' AND sqlite_schema.name <> 'audit'"
        }
    };
    let mut found = connection.prepare(tables)?;
    let mut found = found.query_map([], |row| row.get::<_, String>(0))?;
    found
        .find(|line| !matches!(line.as_deref(), Ok("ok")))
        .transpose()
}
