//! Which rules were matched by tests.

use super::{bare, load};
use crate::{Counting, Selection};

const RULES: &str = "
rules:
  - { name: mark, continue: true, condition: { all: [] }, action: { type: modify, changes: { a: 1 } } }
  - { name: mute, condition: { field: action.payload.n, eq: 1 }, action: { type: suppress } }
  - { name: never, condition: { any: [] }, action: { type: deny } }
  - { name: off, enabled: false, condition: { all: [] }, action: { type: deny } }";

const TESTS: &str = "
defaults: { namespace: n, tenant: t, provider: log, action_type: a }
tests:
  - name: quiet
    timeline: [{ at: 0s, dispatch: { payload: { n: 1 } }, times: 3 }]
  - name: loud
    timeline: [{ at: 0s, dispatch: { payload: { n: 2 } } }]";

#[test]
fn each_rule_is_listed_with_how_often_it_matched() {
    let suite = load(RULES, TESTS, bare()).unwrap();
    let selection = Selection {
        coverage: Counting::On,
        ..Selection::default()
    };
    let report = suite.run(&selection, |_| {}).unwrap();
    assert_eq!(
        Vec::from_iter(report.coverage.unmatched()),
        ["never", "off"]
    );
    let text = report.coverage.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "2 of 4 rules matched by a test");
    assert!(lines[1].trim_start().starts_with("4  mark"), "{text}");
    assert!(lines[2].trim_start().starts_with("3  mute"), "{text}");
    assert!(
        lines[3].ends_with("rules.yaml  no test matched it"),
        "{text}"
    );
    assert!(lines[4].ends_with("it is disabled"), "{text}");
}

#[test]
fn only_the_selected_tests_count() {
    let suite = load(RULES, TESTS, bare()).unwrap();
    let selection = Selection {
        coverage: Counting::On,
        filter: Some("loud".to_owned()),
    };
    let report = suite.run(&selection, |_| {}).unwrap();
    assert_eq!(report.tests(), 1);
    let unmatched = Vec::from_iter(report.coverage.unmatched());
    assert_eq!(unmatched, ["mute", "never", "off"]);
}
