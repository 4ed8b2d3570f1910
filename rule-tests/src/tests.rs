mod coverage;
mod groups;
mod outcomes;
mod providers;
mod reports;
mod silences;
mod templates;

use std::fs;
use std::path::Path;

use acteon_pipeline::{Machines, PipelineOptions, ProviderOptions};
use acteon_rules::{CompileSettings, KnownProviders};
use tempfile::TempDir;

use crate::{LoadError, Selection, Suite, SuiteReport, SuiteSettings, stand_in};

/// No providers are configured, so every name is a provider.
fn bare() -> SuiteSettings {
    SuiteSettings {
        rules: CompileSettings::default(),
        pipeline: PipelineOptions::default(),
        providers: Vec::new(),
        machines: Machines::default(),
    }
}

/// Only these providers are configured, with the defaults and the changes of `change`.
fn configured(names: &[&str], change: impl Fn(&mut ProviderOptions)) -> SuiteSettings {
    let options = names.iter().map(|name| {
        let mut options = ProviderOptions::new(name, stand_in());
        change(&mut options);
        options
    });
    let known = names.iter().map(|name| (*name).into()).collect();
    SuiteSettings {
        rules: CompileSettings {
            providers: KnownProviders::Only(known),
            ..CompileSettings::default()
        },
        providers: options.collect(),
        ..bare()
    }
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load(rules: &str, tests: &str, settings: SuiteSettings) -> Result<Suite, LoadError> {
    let folder = folder(&[("rules.yaml", rules), ("a.test.yaml", tests)]);
    Suite::load(folder.path(), settings)
}

fn run(rules: &str, tests: &str, settings: SuiteSettings) -> SuiteReport {
    let suite = load(rules, tests, settings).unwrap_or_else(|error| panic!("{error}"));
    suite.run(&Selection::default(), |_| {}).unwrap()
}

/// Runs a test that must pass, with this timeline in YAML.
fn passes(rules: &str, timeline: &str) {
    let report = run(rules, &one(timeline), bare());
    assert_eq!(report.failures(), "");
    assert_eq!(report.tests(), 1);
}

/// A file with one test of this timeline.
fn one(timeline: &str) -> String {
    let timeline = timeline.replace('\n', "\n      ");
    format!(
        "defaults: {{ namespace: n, tenant: t, provider: log, action_type: a }}\n\
         tests:\n  - name: it\n    timeline:\n      {timeline}\n"
    )
}

#[test]
fn what_the_guide_shows_passes_and_its_failing_report_is_real() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/rule-tests.md");
    let guide = fs::read_to_string(guide).unwrap();
    let blocks = guide.split("```yaml\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let [rules, tests] = blocks[..] else {
        panic!("the guide shows rules, then tests");
    };
    let report = run(rules, tests, bare());
    assert_eq!((report.failures().as_str(), report.tests()), ("", 2));
    let broken = rules.replace("3600", "60");
    let shown = run(&broken, tests, bare()).failures();
    let text = shown.trim_start().split_once(".yaml").unwrap().1.trim_end();
    assert!(guide.contains(text), "the guide does not show:\n{text}");
}
