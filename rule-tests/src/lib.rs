//! Rule tests: timelines of actions and of what is expected of them, played over the real pipeline.
//!
//! [`Suite::load`] reads the rules of a directory and the `*.test.yaml` files beside them, or tells all that is wrong
//! with either; [`Suite::run`] plays each test and reports. A test has its own pipeline with memory state, its providers
//! record what they are asked to deliver, and its time is virtual: a day passes at once, and the same test gives the same
//! report. How the command line shows it is the server's.

mod case;
mod compare;
mod diff;
mod junit;
mod play;
mod read;
mod recorder;
mod report;
mod span;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acteon_core::Sink;
use acteon_core::rules::{RuleProblem, RulesError};
use acteon_pipeline::{PipelineOptions, ProviderOptions, read_rule_files, read_rule_test_files};
use acteon_rules::reading::Problems;
use acteon_rules::{KnownProviders, RuleFile, RuleSet, Settings};
use thiserror::Error;

use crate::case::Case;
use crate::play::{Watching, World, play};
use crate::read::Known;
use crate::recorder::Recorder;

pub use compare::Mismatch;
pub use play::PlayError;
pub use report::{Coverage, Failure, FileReport, Report, TestReport};

/// What stands around the rules, as it is configured.
#[derive(Clone)]
pub struct Surroundings {
    /// What rules may refer to.
    pub rules: Settings,
    /// How the pipeline treats actions.
    pub pipeline: PipelineOptions,
    /// The providers with their limits, retries and breakers. A recording sink takes the place of each sink. Without
    /// any, every name is a provider with the defaults of the configuration.
    pub providers: Vec<ProviderOptions>,
}

/// A sink for [`ProviderOptions`] whose sink is replaced by the tests.
pub fn stand_in() -> Arc<dyn Sink> {
    Arc::<Recorder>::default()
}

/// The rules of a directory and their tests.
pub struct Suite {
    set: RuleSet,
    surroundings: Surroundings,
    files: Vec<TestFile>,
    warnings: Vec<RuleProblem>,
}

struct TestFile {
    name: String,
    cases: Vec<Case>,
}

/// What to run, and what to count.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only tests whose name holds this text.
    pub filter: Option<String>,
    /// Whether it is counted which rules match.
    pub coverage: Counting,
}

/// Whether something is counted that costs time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Counting {
    On,
    #[default]
    Off,
}

/// Why there is nothing to run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// All that is wrong with the rules and the tests, by file, line and column.
    #[error("{}", lines(.0))]
    Invalid(Vec<RuleProblem>),
    /// The directory cannot be read.
    #[error(transparent)]
    Unreadable(#[from] RulesError),
    /// There are no tests to run.
    #[error("`{}` holds no tests: they stand in files named *.test.yaml or *.test.yml", .0.display())]
    NoTests(PathBuf),
    /// There are no rules to test.
    #[error("`{}` holds no rules: tests are run against the rules beside them", .0.display())]
    NoRules(PathBuf),
}

fn lines(problems: &[RuleProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Suite {
    /// Reads and checks the rules and the tests of a directory.
    ///
    /// # Errors
    /// All that is wrong, or that there is nothing to test.
    pub fn load(directory: &Path, surroundings: Surroundings) -> Result<Self, LoadError> {
        let rules = read_rule_files(directory)?;
        let tests = read_rule_test_files(directory)?;
        if rules.files.is_empty() && rules.unreadable.is_empty() {
            return Err(LoadError::NoRules(directory.to_owned()));
        }
        let mut problems = tests.unreadable;
        let set = rules.compile(&surroundings.rules);
        let set = set.map_err(|found| problems.extend(found));
        let files = read_tests(
            &tests.files,
            set.as_ref().ok(),
            &surroundings,
            &mut problems,
        );
        let Some(set) = set.ok().filter(|_| problems.is_empty()) else {
            return Err(LoadError::Invalid(problems));
        };
        if files.iter().all(|file| file.cases.is_empty()) {
            return Err(LoadError::NoTests(directory.to_owned()));
        }
        Ok(Self {
            set,
            surroundings,
            files,
            warnings: rules.warnings,
        })
    }

    /// What of the directory is not read though it looks like rules.
    pub fn warnings(&self) -> &[RuleProblem] {
        &self.warnings
    }

    /// Plays the selected tests, file by file; `done` hears of each file when it is. A file none of whose tests is
    /// selected is left out.
    ///
    /// # Errors
    /// When a test cannot be played at all.
    pub fn run(
        &self,
        selection: &Selection,
        mut done: impl FnMut(&FileReport),
    ) -> Result<Report, PlayError> {
        let world = World {
            set: &self.set,
            surroundings: &self.surroundings,
            watching: match selection.coverage {
                Counting::On => Watching::All,
                Counting::Off => Watching::Expected,
            },
        };
        let (mut report, mut matched) = (Report::default(), BTreeMap::new());
        for file in &self.files {
            let mut tests = Vec::new();
            for case in file.cases.iter().filter(|case| selection.takes(case)) {
                let played = play(case, &world)?;
                for (rule, times) in played.matched {
                    *matched.entry(rule).or_default() += times;
                }
                tests.push(TestReport {
                    name: case.name.clone(),
                    line: case.place.line,
                    failures: played.failures,
                });
            }
            if !tests.is_empty() {
                let file = file.name.clone();
                let file = FileReport { file, tests };
                done(&file);
                report.files.push(file);
            }
        }
        if selection.coverage == Counting::On {
            report.coverage = Coverage::new(self.set.summaries(), &matched);
        }
        Ok(report)
    }
}

impl Selection {
    fn takes(&self, case: &Case) -> bool {
        let filter = self.filter.as_deref();
        filter.is_none_or(|text| case.name.contains(text))
    }
}

/// The tests of all files that are right; what is wrong with the others is among the problems.
fn read_tests(
    files: &[RuleFile],
    set: Option<&RuleSet>,
    surroundings: &Surroundings,
    problems: &mut Vec<RuleProblem>,
) -> Vec<TestFile> {
    let rules = set.map(RuleSet::summaries);
    let known = Known {
        rules: rules
            .as_ref()
            .map(|rules| rules.iter().map(|rule| &*rule.name).collect()),
        providers: match &surroundings.rules.providers {
            KnownProviders::Any => None,
            KnownProviders::Only(names) => Some(names.iter().map(|name| name.as_str()).collect()),
        },
    };
    let read = files.iter().map(|file| {
        let mut found = Problems::of(&file.name);
        let cases = read::tests(file, &known, &mut found);
        problems.extend(found.into_list());
        TestFile {
            name: file.name.clone(),
            cases,
        }
    });
    read.collect()
}
