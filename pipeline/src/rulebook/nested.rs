//! Finds rules in subfolders, which are not read, for a warning.

use std::fs;
use std::path::{Path, PathBuf};

use super::names::{FileKind, is_ignored, kind_of};

/// The limits of the search. More is not worth a warning.
const DEPTH_MAX: usize = 8;
const ENTRIES_MAX: usize = 10_000;

/// The first rule file in a folder or below it. Links are not followed.
pub(super) fn rules_below(folder: &Path) -> Option<PathBuf> {
    let mut folders = vec![(folder.to_owned(), 1)];
    let mut left = ENTRIES_MAX;
    while let Some((folder, depth)) = folders.pop() {
        for path in sorted(&folder) {
            left = left.checked_sub(1)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_ignored(&name) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                if depth < DEPTH_MAX {
                    folders.push((path, depth + 1));
                }
            } else if matches!(
                kind_of(&name),
                Some(FileKind::Rules | FileKind::MisspelledExtension)
            ) {
                return Some(path);
            }
        }
    }
    None
}

/// The paths in a folder, sorted. Empty if the folder cannot be read.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let entries = entries.filter_map(Result::ok).take(ENTRIES_MAX);
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
