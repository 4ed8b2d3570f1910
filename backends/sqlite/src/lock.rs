//! A lock that lets one process use a file. It is kept beside the file, names its holder, and ends with the process.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The longest description of a holder that is read.
const HOLDER_BYTES_MAX: u64 = 256;

/// The lock on a file. The kernel releases it when it is dropped or the process ends.
pub(crate) struct FileLock {
    _file: File,
}

/// Why a file was not locked.
#[derive(Debug, Error)]
pub(crate) enum LockError {
    /// Another process, or another server of this one, has the lock.
    #[error("{0}")]
    Held(String),
    /// The lock's own file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileLock {
    /// Locks `path` by the file `<path>.lock`. That file is never deleted: two processes could else lock two of them.
    pub(crate) fn acquire(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(lock_path(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        write!(file, "process {}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}

/// The holder as it described itself.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(HOLDER_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(1..) => text,
        _ => "another process".to_owned(),
    }
}
