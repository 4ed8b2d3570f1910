//! Finds files that were probably intended as the configuration but have another name. They would be ignored silently.

use std::path::Path;

use crate::DEFAULT_FILE;
use crate::errors::{Location, Problem};

/// The maximum edit distance of a misspelt name.
const EDITS_MAX: usize = 2;
/// The maximum number of files checked.
const FILES_MAX: usize = 10_000;

/// A problem for each file of `folder` whose name looks like a misspelling of the missing default file.
pub(crate) fn problems(folder: &Path) -> Vec<Problem> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.take(FILES_MAX).filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        (looks_intended(&name) && entry.path().is_file()).then_some(name)
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let problem = |name: String| {
        let message = format!(
            "this file is not read, because the configuration file is named `{DEFAULT_FILE}`: rename it, or pass `-c {name}`"
        );
        Problem::new(Location::WholeFile(name), "", &message)
    };
    names.into_iter().map(problem).collect()
}

fn looks_intended(name: &str) -> bool {
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
    strsim::damerau_levenshtein(&name, DEFAULT_FILE) <= EDITS_MAX || is_other_kind()
}
