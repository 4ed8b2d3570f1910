//! The mistakes in a configuration: problems for users, and the complaints they are made from.

use std::fmt;

use crate::document::Document;
use crate::tree::{PathStep, TreeNode, TreePath, ValueOrigin, spell};

/// The maximum number of reported problems. A file that is not a configuration may have one every few bytes.
pub(crate) const PROBLEMS_MAX: usize = 200;

/// All mistakes, up to a few hundred. Displayed one per line, without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProblemList(Vec<Problem>);

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub location: Location,
    /// The key, such as `providers.hook.url`; empty if it concerns no key.
    pub key: String,
    /// The expected and the actual value.
    pub message: String,
}

/// The place of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// A place in a file. Line and column count characters from 1.
    #[allow(missing_docs)]
    File {
        file: String,
        line: usize,
        column: usize,
    },
    /// The file as a whole.
    WholeFile(String),
    /// An environment variable.
    Variable(String),
    /// A command line flag, by its dotted key.
    Flag(String),
}

impl Problem {
    /// A problem at `location`. `key` may be empty.
    pub fn new(location: Location, key: impl Into<String>, message: &str) -> Self {
        Self {
            location,
            key: key.into(),
            message: one_line(message),
        }
    }
}

impl ProblemList {
    /// Iterates over all problems. Those of the configuration are ordered by file, environment and command line.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// True if there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts by location: files line by line, then the environment, then the command line.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| a.location.cmp(&b.location));
        self
    }

    /// Returns `value` if there are no problems.
    ///
    /// # Errors
    /// The problems.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        match self.is_empty() {
            true => Ok(value),
            false => Err(self),
        }
    }

    /// Turns complaints about `root` into problems.
    pub(crate) fn of(mut complaints: Vec<Complaint>, root: &TreeNode, document: &Document) -> Self {
        complaints.sort_by(|a, b| a.origin.cmp(&b.origin));
        let omitted = complaints.len().saturating_sub(PROBLEMS_MAX);
        complaints.truncate(PROBLEMS_MAX);
        let problems = complaints.into_iter().map(|complaint| {
            let location = document.location(&complaint.origin);
            Problem::new(location, spell(root, &complaint.path), &complaint.message)
        });
        let mut problems: Vec<_> = problems.collect();
        problems.dedup();
        if omitted > 0 {
            let message = format!("{omitted} more problems are not shown");
            problems.push(Problem::new(
                document.location(&ValueOrigin::Default),
                "",
                &message,
            ));
        }
        Self(problems)
    }
}

impl std::error::Error for ProblemList {}

impl From<Problem> for ProblemList {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Extend<Problem> for ProblemList {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

impl IntoIterator for ProblemList {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Problem> for ProblemList {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl fmt::Display for ProblemList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::WholeFile(file) => f.write_str(file),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(key) => {
                let last = key.rsplit('.').next().unwrap_or(key);
                write!(f, "--{}", last.replace('_', "-"))
            }
        }
    }
}

/// A problem whose location has not been looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) path: TreePath,
    pub(crate) origin: ValueOrigin,
    pub(crate) message: String,
}

impl Complaint {
    pub(crate) fn new(path: &[PathStep], origin: &ValueOrigin, message: impl Into<String>) -> Self {
        Self {
            path: path.to_vec(),
            origin: origin.clone(),
            message: message.into(),
        }
    }
}

/// `; did you mean ...?` with the nearest known name, or else the list of known names.
pub(crate) fn hint<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let found = found.to_lowercase();
    let nearest = known
        .iter()
        .map(|name| (distance(&found, &name.to_lowercase()), *name))
        .min()
        .filter(|(distance, name)| *distance <= edits_max(name));
    match nearest {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; known: {}", quoted(&known).join(", ")),
    }
}

/// The name that `found` shortens or misspells.
pub(crate) fn intended_name<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|name| {
        let is_short = found.len() >= 3 && name.starts_with(found);
        let edits = strsim::damerau_levenshtein(found, name);
        (is_short || edits <= edits_max(name)).then_some((edits, name))
    });
    near.min().map(|(_, name)| name)
}

/// The maximum edit distance of a misspelt name.
fn edits_max(name: &str) -> usize {
    (name.chars().count() / 3).max(1)
}

/// The edit distance of two names. A missing ending, such as a unit, counts as one edit.
fn distance(found: &str, known: &str) -> usize {
    let shortest = found.len().min(known.len());
    if shortest >= 3 && (known.starts_with(found) || found.starts_with(known)) {
        return usize::from(found != known);
    }
    // Cannot be a misspelling, and would take long to compare.
    if found.len() > 8 * known.len() {
        return found.len();
    }
    strsim::damerau_levenshtein(found, known)
}

/// Escapes control characters, such as line breaks in messages of users and libraries.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        match character.is_control() {
            true => line.extend(character.escape_debug()),
            false => line.push(character),
        }
    }
    line
}

/// The names in back quotes.
pub(crate) fn quoted(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}
