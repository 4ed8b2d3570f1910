//! Laws on the source tree: dependencies, file lengths, names, prose and others. Each checker is a pure function with a
//! test on a sample that breaks its law. A violation says where it is and what to do.

mod bans;
mod circles;
mod clauses;
mod dependencies;
mod events;
mod fields;
mod functions;
mod guide;
mod house;
mod layout;
mod links;
mod look;
mod markdown;
mod metrics;
mod names;
mod prose;
mod purity;
mod sleeps;
mod struct_size;
mod words;

use std::fmt;

use house::Source;

/// One violation of a law.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// `file` or `file:line`, relative to the root of the repository.
    place: String,
    /// The law in one sentence, and what was found.
    law: String,
}

impl Violation {
    fn at(path: &str, line: usize, law: impl Into<String>) -> Self {
        Self::of(&format!("{path}:{line}"), law)
    }

    fn of(place: &str, law: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            law: law.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.law)
    }
}

/// Fails the test, listing every violation on its own line.
#[track_caller]
fn assert_kept(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} violations:\n  {}\n",
        lines.len(),
        lines.join("\n  ")
    );
}

/// The violations in all files without an exception, and the exceptions that are no longer needed.
fn judge(
    sources: &[Source],
    excused: &[(&str, &str)],
    check: impl Fn(&Source) -> Vec<Violation>,
) -> Vec<Violation> {
    let is_excused = |path: &str| excused.iter().any(|(file, _)| *file == path);
    let (spared, judged): (Vec<_>, Vec<_>) = sources.iter().partition(|s| is_excused(&s.path));
    let mut violations: Vec<_> = judged.into_iter().flat_map(&check).collect();
    for (file, _) in excused {
        if !spared
            .iter()
            .any(|s| s.path == *file && !check(s).is_empty())
        {
            violations.push(Violation::of(file, "keeps the law: remove its exception"));
        }
    }
    violations
}

#[test]
fn an_unneeded_exception_is_found() {
    let sources = ["kept.rs", "broken.rs", "new.rs"].map(|path| Source::new(path, ""));
    let breaks = |source: &Source| {
        let broken = source.path != "kept.rs";
        broken
            .then(|| Violation::of(&source.path, "x"))
            .into_iter()
            .collect()
    };
    let excused = [("kept.rs", "a"), ("broken.rs", "b"), ("gone.rs", "c")];
    let found = judge(&sources, &excused, breaks);
    assert_eq!(places(&found), ["new.rs", "kept.rs", "gone.rs"]);
}

/// For the tests of the checkers: the places where a sample breaks the law.
fn places(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|v| v.place.as_str()).collect()
}
