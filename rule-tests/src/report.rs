//! What came of the tests, for people: a line a file, what failed and how, a summary, and which rules were tested.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use acteon_core::rules::RuleSummary;
use compact_str::CompactString;

use crate::compare::Mismatch;
use crate::span::shown;

/// What came of all tests.
#[derive(Debug, Default)]
pub struct Report {
    /// By the names of the files.
    pub files: Vec<FileReport>,
    /// Every rule and how often it matched; empty when that was not counted.
    pub coverage: Coverage,
}

/// What came of the tests of one file. Displayed, it is the line to show when the file is done.
#[derive(Debug)]
pub struct FileReport {
    /// The file, below the directory as it was named.
    pub file: String,
    /// In the order of the file; those that the filter leaves out are not here.
    pub tests: Vec<TestReport>,
}

/// What came of one test.
#[derive(Debug)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// What failed, in the order of the timeline; empty when it passed.
    pub failures: Vec<Failure>,
}

/// A step that did not go as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// From 1.
    pub step: usize,
    /// Where the step begins.
    pub line: usize,
    /// When, after the start.
    pub at: Duration,
    /// Which dispatch of how many, when the step has several.
    pub turn: Option<(u32, u32)>,
    /// How many more dispatches of the step failed.
    pub more: u32,
    /// What is different.
    pub mismatches: Vec<Mismatch>,
}

/// How often each rule matched, in the order of evaluation.
#[derive(Debug, Default)]
pub struct Coverage(Vec<(RuleSummary, u64)>);

impl Report {
    /// How many tests were run.
    pub fn tests(&self) -> usize {
        self.files.iter().map(|file| file.tests.len()).sum()
    }

    /// How many tests failed.
    pub fn failed(&self) -> usize {
        self.files.iter().map(FileReport::failed).sum()
    }

    /// All failures, each with its place and what is different; empty when there are none.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            for test in file.tests.iter().filter(|test| !test.failures.is_empty()) {
                // Writing to a string does not fail.
                let _ = writeln!(text, "\n{}:{}: {}", file.file, test.line, test.name);
                let _ = write!(text, "{}", test.told());
            }
        }
        text
    }

    /// One line on the whole.
    pub fn summary(&self) -> String {
        let (files, tests, failed) = (self.files.len(), self.tests(), self.failed());
        let passed = tests - failed;
        format!(
            "{}, {}: {passed} passed, {failed} failed",
            count(files, "file"),
            count(tests, "test")
        )
    }
}

impl FileReport {
    /// How many of its tests failed.
    pub fn failed(&self) -> usize {
        let failed = |test: &&TestReport| !test.failures.is_empty();
        self.tests.iter().filter(failed).count()
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tests = count(self.tests.len(), "test");
        match self.failed() {
            0 => write!(f, "ok      {}  {tests}", self.file),
            failed => write!(f, "FAILED  {}  {tests}, {failed} failed", self.file),
        }
    }
}

impl TestReport {
    /// What failed, step by step.
    pub(crate) fn told(&self) -> String {
        self.failures.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  at {}, step {} (line {})",
            shown(self.at),
            self.step,
            self.line
        )?;
        if let Some((turn, times)) = self.turn {
            write!(f, ", dispatch {turn} of {times}")?;
        }
        writeln!(f)?;
        for mismatch in &self.mismatches {
            writeln!(f, "    {} (line {})", mismatch.what, mismatch.line)?;
            writeln!(f, "      expected  {}", mismatch.expected)?;
            writeln!(f, "      found     {}", mismatch.found)?;
        }
        if self.more > 0 {
            writeln!(
                f,
                "    and {} of this step",
                count(self.more as usize, "more dispatch")
            )?;
        }
        Ok(())
    }
}

impl Coverage {
    pub(crate) fn new(rules: Vec<RuleSummary>, matched: &BTreeMap<CompactString, u64>) -> Self {
        let times = |rule: &RuleSummary| matched.get(&rule.name).copied().unwrap_or_default();
        Self(
            rules
                .into_iter()
                .map(|rule| (times(&rule), rule))
                .map(|(n, rule)| (rule, n))
                .collect(),
        )
    }

    /// The names of the rules that no test matched.
    pub fn unmatched(&self) -> impl Iterator<Item = &str> {
        let unmatched = self.0.iter().filter(|(_, times)| *times == 0);
        unmatched.map(|(rule, _)| &*rule.name)
    }
}

impl fmt::Display for Coverage {
    /// A line a rule, with how often it matched; those that no test matched say so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rules, missing) = (self.0.len(), self.unmatched().count());
        writeln!(
            f,
            "{} of {} matched by a test",
            rules - missing,
            count(rules, "rule")
        )?;
        for (rule, times) in &self.0 {
            let note = match (*times, rule.enabled) {
                (0, true) => "  no test matched it",
                (0, false) => "  no test matched it; it is disabled",
                _ => "",
            };
            writeln!(f, "{times:>8}  {}  {}{note}", rule.name, rule.source)?;
        }
        Ok(())
    }
}

/// "1 test", "2 tests".
pub(crate) fn count(number: usize, what: &str) -> String {
    let ending = match (number, what.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{number} {what}{ending}")
}
