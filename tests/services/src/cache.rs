//! The folder that keeps downloads between runs. Its contents are always complete: one process at a time makes a
//! download in a folder next to it and renames that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// `$ACTEON_SERVICES_CACHE`, or else `~/.cache/acteon/services`.
pub fn folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ACTEON_SERVICES_CACHE") {
        return Ok(folder.into());
    }
    let home = std::env::home_dir().context("set HOME or ACTEON_SERVICES_CACHE")?;
    Ok(home.join(".cache/acteon/services"))
}

/// The folder `name` in the cache. If it is missing, `fill` creates its content in a folder next to it; another process
/// that wants the same folder waits.
pub fn fetched(
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    fetched_in(&folder()?, name, fill)
}

fn fetched_in(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let place = cache.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !place.is_dir() {
        let fresh = tempfile::Builder::new().prefix(name).tempdir_in(cache)?;
        fill(fresh.path())?;
        fs::rename(fresh.keep(), &place)?;
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn many_who_want_the_same_at_once_fetch_it_once() {
        let cache = tempfile::tempdir().unwrap();
        let fills = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let place = fetched_in(cache.path(), "thing", |folder| {
                        fills.fetch_add(1, Ordering::Relaxed);
                        Ok(fs::write(folder.join("content"), "whole")?)
                    })
                    .unwrap();
                    assert_eq!(fs::read_to_string(place.join("content")).unwrap(), "whole");
                });
            }
        });
        assert_eq!(fills.into_inner(), 1);
    }

    #[test]
    fn a_download_that_failed_is_tried_again_and_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let failed = fetched_in(cache.path(), "thing", |folder| {
            fs::write(folder.join("half"), "")?;
            anyhow::bail!("the network is gone")
        });
        assert!(failed.is_err());
        let place = fetched_in(cache.path(), "thing", |_| Ok(())).unwrap();
        assert_eq!(fs::read_dir(place).unwrap().count(), 0);
        assert_eq!(
            fs::read_dir(cache.path()).unwrap().count(),
            2,
            "the folder and its lock"
        );
    }
}
