//! Lists folders and reads files within bounds, for rules and templates.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use acteon_rules::RuleFile;

use super::names::is_ignored;

/// The maximum number of files in one directory.
const FILES_MAX: usize = 10_000;

/// The paths in a directory that are not ignored, in order.
pub(super) fn paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !is_ignored(&file_name(&path)) {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(io::Error::other(format!(
                "it contains more than {FILES_MAX} files"
            )));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Checks that `path` is a file.
///
/// # Errors
/// If it is a link without target, or not a file. Reading a pipe might never end.
pub(super) fn regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let target = fs::read_link(path)?;
            let message = format!("the link leads nowhere (to `{}`)", target.display());
            Err(io::Error::other(message))
        }
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("it is not a file")),
        found => found.map(drop),
    }
}

/// Reads at most one byte more than a rule file may have, so that a larger file is refused for its size.
pub(super) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = RuleFile::BYTES_MAX as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
