//! Templates of providers: they make the payload that a provider receives, and one that fails shows in the outcome.

use std::fs;

use super::{bare, folder, one};
use crate::{LoadError, Selection, Suite};

const NO_RULE: &str =
    "rules: [{ name: never, condition: { any: [] }, action: { type: suppress } }]";

fn load(template: &str, timeline: &str) -> Result<Suite, LoadError> {
    let folder = folder(&[("rules.yaml", NO_RULE), ("a.test.yaml", &one(timeline))]);
    let templates = folder.path().join("templates/log");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("subject.txt"), template).unwrap();
    Suite::load(folder.path(), bare())
}

fn failures(template: &str, timeline: &str) -> String {
    let suite = load(template, timeline).unwrap_or_else(|error| panic!("{error}"));
    let report = suite.run(&Selection::default(), |_| {}).unwrap();
    assert_eq!(report.tests(), 1);
    report.failures()
}

#[test]
fn a_provider_receives_what_its_templates_make() {
    let timeline = "
- at: 0s
  dispatch: { payload: { order: 7 } }
  expect: { outcome: Executed }
- at: 0s
  expect: { provider: log, calls: 1, payload: { order: 7, subject: Order 7 } }";
    assert_eq!(failures("Order {{ payload.order }}", timeline), "");
}

#[test]
fn a_template_that_an_action_breaks_fails_it() {
    let timeline = "
- at: 0s
  dispatch: { payload: { total: 7 } }
  expect: { outcome: Failed, code: SERIALIZATION }";
    assert_eq!(failures("Order {{ payload.order }}", timeline), "");
}

#[test]
fn a_template_that_cannot_work_is_an_error_of_the_suite() {
    let timeline = "
- at: 0s
  dispatch: {}";
    let error = load("Order {{ paylod.order }}", timeline).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("templates/log/subject.txt:1"), "{message}");
}
