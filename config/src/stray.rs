//! Finds files that were probably meant to be the configuration but have another name. They would be ignored silently.

use std::path::Path;

use crate::DEFAULT_FILE;
use crate::errors::{Place, Problem};

/// How many slips of the pen are forgiven in a name.
const SLIPS_MAX: usize = 2;
/// How many files of the folder are looked at.
const FILES_MAX: usize = 10_000;

/// A problem for each file of `folder` that looks as if it were meant to be the default file, which is not there.
pub(crate) fn problems(folder: &Path) -> Vec<Problem> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.take(FILES_MAX).filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        (looks_meant(&name) && entry.path().is_file()).then_some(name)
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let problem = |name: String| {
        let message = format!(
            "this file is not read, because the configuration file is named `{DEFAULT_FILE}`: rename it, or pass `-c {name}`"
        );
        Problem::new(Place::WholeFile(name), "", &message)
    };
    names.into_iter().map(problem).collect()
}

fn looks_meant(name: &str) -> bool {
    let name = name.to_lowercase();
    let stem = DEFAULT_FILE.trim_end_matches(".toml");
    let endings = [
        ".toml.txt",
        ".yaml",
        ".yml",
        ".json",
        ".conf",
        ".cfg",
        ".ini",
        ".txt",
    ];
    let is_other_kind = || {
        endings
            .iter()
            .any(|ending| name.strip_suffix(ending) == Some(stem))
    };
    strsim::damerau_levenshtein(&name, DEFAULT_FILE) <= SLIPS_MAX || is_other_kind()
}
