//! Copies a file as it is at one moment, also while a server writes to it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use acteon_core::registry::BuildError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::connection;

/// Why a file was not copied.
#[derive(Debug, Error)]
enum CopyError {
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the copy cannot be written")]
    Io(#[from] io::Error),
    #[error("another program has locked the file")]
    Locked,
}

/// Copies the file `from` to the new file `to`. The copy has another name until it is complete.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    let refused =
        |path: &Path, problem: &str| BuildError::new(format!("`{}` {problem}", path.display()));
    if !from.is_file() {
        return Err(refused(from, "does not exist"));
    }
    if to.exists() {
        return Err(refused(to, "exists already"));
    }
    let part = part_of(to);
    let copied = copy_to(from, &part).and_then(|()| Ok(publish(&part, to)?));
    copied.map_err(|error| {
        // The part may be missing.
        let _ = fs::remove_file(&part);
        refused(from, "was not copied").with_source(error)
    })
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = OsString::from(to);
    name.push(".part");
    name.into()
}

/// In one step, which reads one snapshot.
fn copy_to(from: &Path, part: &Path) -> Result<(), CopyError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(part)?;
    let from = connection::copier(from)?;
    let mut copy = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let step = Backup::new(&from, &mut copy)?.step(-1)?;
    match step {
        StepResult::Done => Ok(()),
        _ => Err(CopyError::Locked),
    }
}

/// Gives the copy its name once the disk has it.
fn publish(part: &Path, to: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, to)?;
    let folder = to.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
