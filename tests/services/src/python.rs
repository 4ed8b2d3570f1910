//! Fetches packages from PyPI into the cache, and runs programs with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache;
use crate::java::run;

/// The folder of packages `name`, fetched if it is not in the cache. Each of `wanted` names a version.
pub fn packages(name: &str, wanted: &[&str]) -> anyhow::Result<PathBuf> {
    cache::fetched(name, |folder| {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        run(pip.arg("--target").arg(folder).args(wanted))
    })
}

/// A Python command that finds the packages in `folder`.
pub fn command(folder: &Path) -> Command {
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python
}
