//! A few connections that read. A statement's snapshot ends with the statement, so that no reader keeps the log from being
//! emptied for longer than it takes to read a page.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::connection;
use crate::error::Error;

/// The connections. More callers wait.
const CONNECTIONS_MAX: usize = 4;

/// The connections that read.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// None is connected yet.
    pub(crate) fn of(path: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            path,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// Does `work` on a thread that may block. If the caller stops waiting, its connection counts until the work has
    /// ended.
    pub(crate) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Error::Closed)?;
        let readers = self.clone();
        let read = move || {
            let result = readers.read(work);
            drop(permit);
            result
        };
        spawn_blocking(read).await.unwrap_or(Err(Error::Closed))
    }

    /// Waits for the work that is being done, and closes all connections.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(CONNECTIONS_MAX as u32).await;
        self.permits.close();
        self.idle.lock().clear();
        drop(all);
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.idle.lock().pop();
        let connection = idle.map_or_else(|| connection::reader(&self.path), Ok)?;
        let result = work(&connection)?;
        // One that failed is closed.
        self.idle.lock().push(connection);
        Ok(result)
    }
}
