//! The files of embedded backends: opened when the server is built to run, closed last, copied by `backup`.

use std::sync::Arc;

use acteon_core::{BuildError, Embedded};
use clap::ValueEnum;

/// What a server is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To report mistakes, or to copy files. The files of backends stay closed.
    Check,
    /// To run.
    Run,
}

/// The section whose backend keeps a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileOf {
    /// That of `[state]`
    State,
    /// That of `[audit]`
    Audit,
}

/// The file of a backend.
pub(crate) struct BackendFile {
    pub(crate) of: FileOf,
    pub(crate) file: Arc<dyn Embedded>,
}

impl BackendFile {
    /// The file of a backend, if it has one. It is opened if the server will run.
    pub(crate) async fn of(
        of: FileOf,
        file: Option<Arc<dyn Embedded>>,
        purpose: Purpose,
    ) -> Result<Option<Self>, BuildError> {
        if let (Some(file), Purpose::Run) = (&file, purpose) {
            file.open().await?;
        }
        Ok(file.map(|file| Self { of, file }))
    }
}

/// Closes the files.
pub(crate) async fn close(files: &[BackendFile]) {
    for backend in files {
        backend.file.close().await;
    }
}
