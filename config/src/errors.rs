//! What is wrong, and where: problems as people read them, and the complaints from which they are made.

use std::fmt;

use crate::document::Document;
use crate::tree::{Node, Origin, Path, Step, spell};

/// How many problems are told. A file that is no configuration at all has one for every few of its bytes.
pub(crate) const PROBLEMS_MAX: usize = 200;

/// All that is wrong, up to some hundred. Shown one per line, none holds a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was said.
    pub place: Place,
    /// The key it is about, such as `providers.hook.url`; empty when it is about no key.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file, at a line and a column in characters, both from 1.
    #[allow(missing_docs)]
    File {
        file: String,
        line: usize,
        column: usize,
    },
    /// Nowhere in particular in this file.
    WholeFile(String),
    /// In this environment variable.
    Variable(String),
    /// On the command line, for this dotted key.
    Flag(String),
}

impl Problem {
    /// A problem at `place`, with `key` or about none.
    pub fn new(place: Place, key: impl Into<String>, message: &str) -> Self {
        Self {
            place,
            key: key.into(),
            message: one_line(message),
        }
    }
}

impl Problems {
    /// One by one: those of the configuration in the order of the file, then of the environment, then of the command line.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same by their places: each file from its beginning to its end, then the environment, then the command line.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        self
    }

    /// `value`, if nothing is wrong.
    ///
    /// # Errors
    /// All that is.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        match self.is_empty() {
            true => Ok(value),
            false => Err(self),
        }
    }

    /// Turns complaints about `root` into problems that people can read.
    pub(crate) fn of(mut complaints: Vec<Complaint>, root: &Node, document: &Document) -> Self {
        complaints.sort_by(|a, b| a.origin.cmp(&b.origin));
        let untold = complaints.len().saturating_sub(PROBLEMS_MAX);
        complaints.truncate(PROBLEMS_MAX);
        let problems = complaints.into_iter().map(|complaint| {
            let place = document.place(&complaint.origin);
            Problem::new(place, spell(root, &complaint.path), &complaint.message)
        });
        let mut problems: Vec<_> = problems.collect();
        problems.dedup();
        if untold > 0 {
            let message = format!("{untold} more problems are not shown");
            problems.push(Problem::new(document.place(&Origin::Default), "", &message));
        }
        Self(problems)
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl fmt::Display for Problems {
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
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Place {
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

/// A problem before its place is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) path: Path,
    pub(crate) origin: Origin,
    pub(crate) message: String,
}

impl Complaint {
    pub(crate) fn new(path: &[Step], origin: &Origin, message: impl Into<String>) -> Self {
        Self {
            path: path.to_vec(),
            origin: origin.clone(),
            message: message.into(),
        }
    }
}

/// `; did you mean ...?` with the nearest of the known names, else the list of them.
pub(crate) fn hint<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let found = found.to_lowercase();
    let nearest = known
        .iter()
        .map(|name| (distance(&found, &name.to_lowercase()), *name))
        .min()
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1));
    match nearest {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; known: {}", quoted(&known).join(", ")),
    }
}

/// How many slips of the pen lie between two names; a forgotten ending, such as a unit, counts as one.
fn distance(found: &str, known: &str) -> usize {
    let shortest = found.len().min(known.len());
    if shortest >= 3 && (known.starts_with(found) || found.starts_with(known)) {
        return usize::from(found != known);
    }
    // Cannot be meant, and would take long to compare.
    if found.len() > 8 * known.len() {
        return found.len();
    }
    strsim::damerau_levenshtein(found, known)
}

/// What users and libraries wrote into a message may hold line breaks and worse.
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
