//! The files in use by their paths, so that state and audit share one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use acteon_core::registry::BuildError;
use parking_lot::Mutex;

use crate::config::Synchronous;
use crate::store::Store;

/// The files of a configuration. Its clones are the same.
#[derive(Clone, Default)]
pub struct SqliteFiles(Arc<Mutex<HashMap<PathBuf, Weak<Store>>>>);

impl SqliteFiles {
    /// The file at `path`, which is relative to `folder`. It is not touched, but its folder must be there.
    pub(crate) fn at(
        &self,
        folder: &Path,
        path: &Path,
        synchronous: Synchronous,
    ) -> Result<Arc<Store>, BuildError> {
        let path = resolve(&folder.join(path))?;
        let mut files = self.0.lock();
        let known = files.get(&path).and_then(Weak::upgrade);
        let store = match known {
            Some(store) if store.synchronous() != synchronous => {
                let message = "state and audit are in one file, so both need the same value";
                return Err(BuildError::at("synchronous", message));
            }
            Some(store) => store,
            None => {
                let store = Arc::new(Store::at(path.clone(), synchronous));
                files.retain(|_, store| store.strong_count() > 0);
                files.insert(path, Arc::downgrade(&store));
                store
            }
        };
        Ok(store)
    }
}

/// The absolute path without links, so that a file has one name, whose lock holds for all.
fn resolve(path: &Path) -> Result<PathBuf, BuildError> {
    let wrong = |message: String| BuildError::at("path", message);
    let absolute = std::path::absolute(path)
        .map_err(|error| wrong("is not a path".to_owned()).with_source(error))?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(wrong(format!("`{}` is not a file", path.display())));
    };
    if absolute.is_symlink() {
        return absolute.canonicalize().map_err(|error| {
            let message = format!("`{}` is a link to nothing", path.display());
            wrong(message).with_source(error)
        });
    }
    if absolute.is_dir() {
        return Err(wrong(format!("`{}` is a directory", path.display())));
    }
    let folder = folder.canonicalize().map_err(|error| {
        let message = format!("there is no directory `{}`", folder.display());
        wrong(message).with_source(error)
    })?;
    Ok(folder.join(name))
}
