//! The problems of a rule file, with their places. Readers report here and continue, so that one answer lists all
//! errors of all files.

use acteon_core::rules::RuleProblem;

use crate::synonyms::meant;

/// How many problems of one file are listed.
const LISTED_MAX: usize = 200;
/// How many characters of a name or value from the file a message repeats.
const QUOTED_MAX: usize = 60;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// The problems of one file.
#[derive(Debug)]
pub struct FileProblems {
    file: String,
    listed: Vec<RuleProblem>,
    unlisted: usize,
}

impl FileProblems {
    /// No problems yet in this file.
    pub fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            listed: Vec::new(),
            unlisted: 0,
        }
    }

    /// Reports a problem.
    pub fn at(&mut self, place: LineColumn, message: impl Into<String>) {
        if self.listed.len() == LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        self.listed.push(RuleProblem {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            message: message.into(),
        });
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems in the order of their places; the last one counts the problems that are not listed.
    pub fn into_list(mut self) -> Vec<RuleProblem> {
        self.listed.sort_by_key(|p| (p.line, p.column));
        if let (1.., Some(last)) = (self.unlisted, self.listed.last().cloned()) {
            let message = format!("{} more problems are not listed", self.unlisted);
            self.listed.push(RuleProblem { message, ..last });
        }
        self.listed
    }
}

/// `text` in backquotes, cut if it is long.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}...`", &text[..end]),
    }
}

/// "unknown <what> `<found>`", then the synonym or nearest known name, or all known names if there is none.
pub fn unknown(what: &str, found: &str, known: &[&str]) -> String {
    let found_quoted = quoted(found);
    match meant(found, known).or_else(|| nearest(found, known)) {
        Some(near) => format!("unknown {what} {found_quoted}; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown {what} {found_quoted}"),
        None => format!("unknown {what} {found_quoted}; expected {}", one_of(known)),
    }
}

/// "`a`", "`a` or `b`", "one of `a`, `b`, `c`".
pub fn one_of(known: &[&str]) -> String {
    let shown: Vec<_> = known
        .iter()
        .take(30)
        .map(|name| format!("`{name}`"))
        .collect();
    match shown.as_slice() {
        [one] => one.clone(),
        [one, other] => format!("{one} or {other}"),
        _ => format!("one of {}", shown.join(", ")),
    }
}

/// The known name that `found` may be a misspelling of.
pub(crate) fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    if found.chars().count() > QUOTED_MAX {
        return None;
    }
    let found = found.to_lowercase();
    let allowed = (found.chars().count() / 3).max(1);
    known
        .iter()
        .map(|name| (strsim::osa_distance(&found, &name.to_lowercase()), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
