//! The results of the tests as text: one line per file, the failures, a summary, and which rules were tested.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use acteon_core::rules::RuleSummary;
use compact_str::CompactString;

use crate::compare::{Mismatch, count};
use crate::duration::shown;

/// The results of all tests.
#[derive(Debug, Default)]
pub struct SuiteReport {
    /// By the names of the files.
    pub files: Vec<FileReport>,
    /// Every rule and how often it matched; empty if matches were not counted.
    pub coverage: Coverage,
}

/// The results of the tests of one file. `Display` writes the line to print when the file is done.
#[derive(Debug)]
pub struct FileReport {
    /// The file, below the directory as it was named.
    pub file: String,
    /// In the order of the file, without the tests that the filter leaves out.
    pub tests: Vec<TestReport>,
}

/// The result of one test.
#[derive(Debug)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// The line where it begins.
    pub line: usize,
    /// The steps that failed, in the order of the timeline; empty if the test passed.
    pub failures: Vec<FailedStep>,
}

/// A step that did not go as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedStep {
    /// From 1.
    pub step: usize,
    /// The line where the step begins.
    pub line: usize,
    /// The time since the start.
    pub at: Duration,
    /// Which dispatch of how many, if the step has several.
    pub turn: Option<(u32, u32)>,
    /// How many more dispatches of the step failed.
    pub more: u32,
    /// The differences.
    pub mismatches: Vec<Mismatch>,
}

/// How often each rule matched, in the order of evaluation.
#[derive(Debug, Default)]
pub struct Coverage(Vec<(RuleSummary, u64)>);

impl SuiteReport {
    /// How many tests were run.
    pub fn tests(&self) -> usize {
        self.files.iter().map(|file| file.tests.len()).sum()
    }

    /// How many tests failed.
    pub fn failed(&self) -> usize {
        self.files.iter().map(FileReport::failed).sum()
    }

    /// All failures, each with its place and differences; empty if there are none.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            for test in file.tests.iter().filter(|test| !test.failures.is_empty()) {
                // Writing to a string does not fail.
                let _ = writeln!(text, "\n{}:{}: {}", file.file, test.line, test.name);
                let _ = write!(text, "{}", test.failures_text());
            }
        }
        text
    }

    /// One line about all tests.
    pub fn summary(&self) -> String {
        let files = self.files.len();
        let tests = self.tests();
        let failed = self.failed();
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
    /// The failed steps as text.
    pub(crate) fn failures_text(&self) -> String {
        self.failures.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for FailedStep {
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
                .map(|rule| {
                    let times = times(&rule);
                    (rule, times)
                })
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
    /// One line per rule with how often it matched; a note marks rules that no test matched.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.0.len();
        let missing = self.unmatched().count();
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
