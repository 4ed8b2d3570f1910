//! Rule tests: timelines of actions and expectations, played over the real pipeline.
//!
//! [`Suite::load`] reads the rules of a directory and the `*.test.yaml` files next to them, or lists all their
//! problems; [`Suite::run`] plays each test and reports. Each test has its own pipeline with memory state, its
//! providers record what they are asked to deliver, and its time is virtual: a day passes at once, and the same test
//! gives the same report. The server prints the report.

mod case;
mod compare;
mod diff;
mod duration;
mod given_events;
mod given_silences;
mod junit;
mod play;
mod read;
mod recorder;
mod report;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acteon_core::Sink;
use acteon_core::rules::{RuleProblem, RulesError};
use acteon_pipeline::{
    Machines, PipelineOptions, ProviderOptions, TemplatesInForce, read_rule_files,
    read_rule_test_files,
};
use acteon_rules::reading::FileProblems;
use acteon_rules::{CompileSettings, KnownProviders, RuleFile, RuleSet};
use thiserror::Error;

use crate::case::TestCase;
use crate::play::{EvaluationMode, PlayContext, play};
use crate::read::KnownNames;
use crate::recorder::RecordingSink;

pub use compare::Mismatch;
pub use play::PlayError;
pub use report::{Coverage, FailedStep, FileReport, SuiteReport, TestReport};

/// The configuration around the rules.
#[derive(Clone)]
pub struct SuiteSettings {
    /// What rules may refer to.
    pub rules: CompileSettings,
    /// How the pipeline treats actions.
    pub pipeline: PipelineOptions,
    /// The providers with their limits, retries and breakers. Each sink is replaced by a recording one. Without any,
    /// every name is a provider with the default configuration.
    pub providers: Vec<ProviderOptions>,
    /// The state machines.
    pub machines: Machines,
}

/// A placeholder sink for [`ProviderOptions`]; the tests replace it.
pub fn stand_in() -> Arc<dyn Sink> {
    Arc::<RecordingSink>::default()
}

/// The rules of a directory and their tests.
pub struct Suite {
    set: RuleSet,
    templates: Arc<TemplatesInForce>,
    settings: SuiteSettings,
    files: Vec<TestFile>,
    warnings: Vec<RuleProblem>,
}

struct TestFile {
    name: String,
    cases: Vec<TestCase>,
}

/// Which tests to run, and what to count.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only tests whose name contains this text.
    pub filter: Option<String>,
    /// Whether matches of rules are counted.
    pub coverage: Counting,
}

/// Whether to count; counting costs time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Counting {
    On,
    #[default]
    Off,
}

/// Why a suite cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// All problems of the rules and the tests, by file, line and column.
    #[error("{}", lines(.0))]
    Invalid(Vec<RuleProblem>),
    /// The directory cannot be read.
    #[error(transparent)]
    Unreadable(#[from] RulesError),
    /// There are no tests to run.
    #[error("`{}` contains no tests: tests are files named *.test.yaml or *.test.yml", .0.display())]
    NoTests(PathBuf),
    /// There are no rules to test.
    #[error("`{}` contains no rules: tests run against the rules in the same directory", .0.display())]
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
    /// All problems, or that there is nothing to test.
    pub fn load(directory: &Path, settings: SuiteSettings) -> Result<Self, LoadError> {
        let rules = read_rule_files(directory)?;
        let tests = read_rule_test_files(directory)?;
        if rules.files.is_empty() && rules.unreadable.is_empty() {
            return Err(LoadError::NoRules(directory.to_owned()));
        }
        let mut problems = tests.unreadable;
        let compiled = rules.compile_all(&settings.rules);
        let compiled = compiled.map_err(|found| problems.extend(found)).ok();
        let set = compiled.as_ref().map(|compiled| &compiled.rules);
        let files = read_tests(&tests.files, set, &settings, &mut problems);
        let Some(compiled) = compiled.filter(|_| problems.is_empty()) else {
            return Err(LoadError::Invalid(problems));
        };
        if files.iter().all(|file| file.cases.is_empty()) {
            return Err(LoadError::NoTests(directory.to_owned()));
        }
        Ok(Self {
            set: compiled.rules,
            templates: Arc::new(compiled.templates.into()),
            settings,
            files,
            warnings: rules.warnings,
        })
    }

    /// Files in the directory that look like rules but are not read.
    pub fn warnings(&self) -> &[RuleProblem] {
        &self.warnings
    }

    /// Plays the selected tests, file by file, and calls `done` after each file. Files without a selected test are left
    /// out.
    ///
    /// # Errors
    /// If a test cannot be played.
    pub fn run(
        &self,
        selection: &Selection,
        mut done: impl FnMut(&FileReport),
    ) -> Result<SuiteReport, PlayError> {
        let context = PlayContext {
            set: &self.set,
            templates: &self.templates,
            settings: &self.settings,
            evaluation: match selection.coverage {
                Counting::On => EvaluationMode::Always,
                Counting::Off => EvaluationMode::WhenExpected,
            },
        };
        let mut report = SuiteReport::default();
        let mut matched = BTreeMap::new();
        for file in &self.files {
            let mut tests = Vec::new();
            for case in file.cases.iter().filter(|case| selection.takes(case)) {
                let played = play(case, &context)?;
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
    fn takes(&self, case: &TestCase) -> bool {
        let filter = self.filter.as_deref();
        filter.is_none_or(|text| case.name.contains(text))
    }
}

/// The valid tests of all files; the problems list what is wrong with the others.
fn read_tests(
    files: &[RuleFile],
    set: Option<&RuleSet>,
    settings: &SuiteSettings,
    problems: &mut Vec<RuleProblem>,
) -> Vec<TestFile> {
    let rules = set.map(RuleSet::summaries);
    let known = KnownNames {
        rules: rules
            .as_ref()
            .map(|rules| rules.iter().map(|rule| &*rule.name).collect()),
        providers: match &settings.rules.providers {
            KnownProviders::Any => None,
            KnownProviders::Only(names) => Some(names.iter().map(|name| name.as_str()).collect()),
        },
    };
    let read = files.iter().map(|file| {
        let mut found = FileProblems::of(&file.name);
        let cases = read::tests(file, &known, &mut found);
        problems.extend(found.into_list());
        TestFile {
            name: file.name.clone(),
            cases,
        }
    });
    read.collect()
}
