//! Schemathesis: reads the OpenAPI document of a server and sends requests that the document allows and forbids. It is
//! a Python package, fetched from PyPI into a separate folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::task::spawn_blocking;

use crate::python;

const WANTED: &[&str] = &["schemathesis==4.32.5", "hypothesis==6.170.17"];

/// The folder of its packages, downloaded if missing.
pub async fn fetch() -> anyhow::Result<PathBuf> {
    spawn_blocking(|| python::packages("schemathesis-4.32.5", WANTED)).await?
}

/// A command that runs it with the options of this file.
pub fn command(folder: &Path, options: &Path) -> Command {
    let mut python = python::command(folder);
    python
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(options);
    python
}
