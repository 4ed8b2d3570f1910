//! Reads rule files and the files of tests beside them, and tells by a look whether rules have changed.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use acteon_core::rules::{RuleProblem, RulesError};
use acteon_rules::RuleFile;
use tokio::task::spawn_blocking;

/// How many files one directory may hold.
const FILES_MAX: usize = 10_000;

/// How the files of a directory look from outside. It changes when one is written, added, removed, or when a link on
/// the way to it is swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look(Vec<(PathBuf, u64, u64, Option<SystemTime>)>);

/// What a file of the directory holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Rules,
    Tests,
}

/// Every `*.yaml` and `*.yml` of a directory but the tests, in the order of their names.
///
/// # Errors
/// What cannot be read.
pub fn read_rule_files(directory: &Path) -> Result<Vec<RuleFile>, RulesError> {
    read_files(directory, Holds::Rules)
}

/// Every `*.test.yaml` and `*.test.yml` of a directory, in the order of their names.
///
/// # Errors
/// What cannot be read.
pub fn read_rule_test_files(directory: &Path) -> Result<Vec<RuleFile>, RulesError> {
    read_files(directory, Holds::Tests)
}

fn read_files(directory: &Path, wanted: Holds) -> Result<Vec<RuleFile>, RulesError> {
    let paths = paths(directory, wanted).map_err(|error| unreadable(directory, &error))?;
    let (mut files, mut problems) = (Vec::with_capacity(paths.len()), Vec::new());
    for path in paths {
        match read_file(&path) {
            Ok(file) => files.push(file),
            Err(error) => problems.push(problem(&path, &error)),
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(RulesError::Invalid(problems))
    }
}

/// The files and how they looked just before they were read.
pub(super) async fn read(directory: &Path) -> Result<(Look, Vec<RuleFile>), RulesError> {
    let directory = directory.to_owned();
    let reading = spawn_blocking(move || {
        let stamp = look(&directory).map_err(|error| unreadable(&directory, &error))?;
        Ok((stamp, read_rule_files(&directory)?))
    });
    reading
        .await
        .unwrap_or_else(|_| Err(RulesError::Invalid(Vec::new())))
}

/// How the files look now; nothing when they cannot be seen.
pub(super) async fn stamp(directory: &Path) -> Option<Look> {
    let directory = directory.to_owned();
    spawn_blocking(move || look(&directory).ok())
        .await
        .ok()
        .flatten()
}

fn look(directory: &Path) -> io::Result<Look> {
    let seen = paths(directory, Holds::Rules)?.into_iter().map(|path| {
        let metadata = fs::metadata(&path)?;
        Ok((
            path,
            inode(&metadata),
            metadata.len(),
            metadata.modified().ok(),
        ))
    });
    Ok(Look(seen.collect::<io::Result<_>>()?))
}

fn paths(directory: &Path, wanted: Holds) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if holds(&path) == Some(wanted) && path.is_file() {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(io::Error::other(format!(
                "it holds more than {FILES_MAX} such files"
            )));
        }
    }
    paths.sort();
    Ok(paths)
}

fn holds(path: &Path) -> Option<Holds> {
    let is_yaml = |kind: &OsStr| kind == "yaml" || kind == "yml";
    path.extension().filter(|kind| is_yaml(kind))?;
    let stem = Path::new(path.file_stem()?);
    let is_test = stem.extension().is_some_and(|kind| kind == "test");
    Some(if is_test { Holds::Tests } else { Holds::Rules })
}

/// Reads at most one byte more than a rule file may hold: enough for it to be refused for its size.
fn read_file(path: &Path) -> io::Result<RuleFile> {
    let mut text = String::new();
    File::open(path)?
        .take(RuleFile::BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(RuleFile {
        name: file_name(path),
        text,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn unreadable(directory: &Path, error: &io::Error) -> RulesError {
    RulesError::Invalid(vec![RuleProblem {
        file: directory.display().to_string(),
        ..problem(directory, error)
    }])
}

fn problem(path: &Path, error: &io::Error) -> RuleProblem {
    RuleProblem {
        file: file_name(path),
        line: 1,
        column: 1,
        message: format!("cannot be read: {error}"),
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
