//! Schemathesis: reads the OpenAPI document of a server and sends requests that the document allows and forbids. It is
//! a Python package, fetched from PyPI into a separate folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::task::spawn_blocking;

use crate::cache;
use crate::java::run;

const WANTED: &[&str] = &["schemathesis==4.32.5", "hypothesis==6.170.17"];

/// The folder of its packages, downloaded if missing.
pub async fn fetch() -> anyhow::Result<PathBuf> {
    spawn_blocking(|| {
        cache::fetched("schemathesis-4.32.5", |folder| {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ]);
            run(pip.arg("--target").arg(folder).args(WANTED))
        })
    })
    .await?
}

/// A command that runs it with the options of this file.
pub fn command(folder: &Path, options: &Path) -> Command {
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(options);
    python
}
