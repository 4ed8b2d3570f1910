//! The reports of a run, for people and for machines.

use std::collections::BTreeMap;
use std::path::Path;

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

use super::{bare, folder, load};
use crate::{LoadError, Selection, Suite, SuiteReport};

const RULES: &str = r#"
rules:
  - name: once
    continue: true
    condition: { field: action.payload.order, exists: true }
    action: { type: deduplicate, key: [payload.order], ttl_seconds: 3600 }
  - name: calm
    continue: true
    condition: { field: action.action_type, eq: mail }
    action: { type: throttle, max_count: 2, window_seconds: 60 }
  - name: mark
    condition: { field: action.payload.order, gt: 100 }
    action: { type: modify, changes: { big: true } }"#;

const WRONG: &str = r#"
defaults: { namespace: shop, tenant: acme, provider: email, action_type: order }
tests:
  - name: passes
    timeline: [{ at: 0s, dispatch: {}, expect: { outcome: Executed } }]
  - name: a second order with the same id is dropped & "forgotten" <soon>
    timeline:
      - at: 0s
        dispatch: { payload: { order: 1, lines: [{ sku: a }] } }
        expect: { outcome: Executed, rule: mark, payload: { order: 1, lines: [{ sku: b }], big: true } }
      - at: 1h30m
        dispatch: { payload: { order: 1 } }
        expect: { outcome: Deduplicated, rule: once }
  - name: no more than two mails a minute
    timeline:
      - at: 0s
        dispatch: { action_type: mail }
        times: 5
        expect: { outcome: Executed }
      - at: 1s
        dispatch: { action_type: mail }
        expect: { retry_after: 1m, code: TIMEOUT, provider: email }
      - at: 5s
        given: { providers: { email: fails } }
        dispatch: { id: x }
        expect: { outcome: Suppressed, rule: null, rule_errors: 1 }
      - at: 6s
        dispatch: { id: x }
        expect: { rule: once }
      - at: 2d
        expect: [{ provider: email, calls: 2, payload_has: [1] }, { provider: slack, payload: {} }]
"#;

fn failing() -> SuiteReport {
    let folder = folder(&[("rules.yaml", RULES), ("orders.test.yaml", WRONG)]);
    let suite = Suite::load(folder.path(), bare()).unwrap_or_else(|error| panic!("{error}"));
    let mut report = suite.run(&Selection::default(), |_| {}).unwrap();
    for file in &mut report.files {
        let name = Path::new(&file.file).file_name().unwrap();
        file.file = format!("rules/{}", name.display());
    }
    report
}

#[test]
fn a_failing_report_says_where_and_what() {
    let report = failing();
    assert_eq!((report.tests(), report.failed()), (3, 2));
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}\n",
        report.files[0],
        report.failures(),
        report.summary()
    ));
}

#[test]
fn a_report_is_the_same_each_time() {
    let one = failing();
    let other = failing();
    assert_eq!(one.failures(), other.failures());
    assert_eq!(one.junit().unwrap(), other.junit().unwrap());
}

/// The elements of an XML text: name, attributes, text.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>, String)> {
    let mut reader = Reader::from_str(xml);
    let mut found: Vec<(String, BTreeMap<_, _>, String)> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) | Event::Empty(element) => {
                let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    (
                        key,
                        attribute
                            .normalized_value(XmlVersion::Implicit1_0)
                            .unwrap()
                            .into_owned(),
                    )
                });
                found.push((name, attributes.collect(), String::new()));
            }
            Event::Text(text) => {
                if let Some(last) = found.last_mut() {
                    last.2.push_str(&text.decode().unwrap());
                }
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().unwrap();
                let text = quick_xml::escape::unescape(&format!("&{name};"))
                    .unwrap()
                    .into_owned();
                found.last_mut().unwrap().2.push_str(&text);
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn junit_is_read_back_as_it_was_meant() {
    let report = failing();
    let read = elements(&report.junit().unwrap());
    let of = |name: &str| -> Vec<_> { read.iter().filter(|(n, _, _)| n == name).collect() };
    let [(_, suites, _)] = of("testsuites")[..] else {
        panic!("{read:?}")
    };
    assert_eq!(
        (suites["tests"].as_str(), suites["failures"].as_str()),
        ("3", "2")
    );
    assert_eq!(of("testsuite")[0].1["name"], "rules/orders.test.yaml");
    let names: Vec<_> = of("testcase")
        .iter()
        .map(|(_, a, _)| a["name"].clone())
        .collect();
    let tests = report.files[0].tests.iter();
    assert_eq!(
        names,
        tests.map(|test| test.name.clone()).collect::<Vec<_>>()
    );
    let failures = of("failure");
    assert_eq!(failures.len(), 2);
    assert_eq!(
        failures[0].1["message"],
        "rule: expected mark, found once; mark did not match: action.payload.order is 1; expected gt: 100"
    );
    assert!(
        failures[0]
            .2
            .contains(report.files[0].tests[1].failures_text().trim_end()),
        "{}",
        failures[0].2
    );
}

#[test]
fn what_xml_cannot_hold_is_replaced() {
    let mut report = failing();
    report.files[0].tests[0].name = "bell \u{7} and \u{ffff}".to_owned();
    let read = elements(&report.junit().unwrap());
    let case = read.iter().find(|(name, _, _)| name == "testcase").unwrap();
    assert_eq!(case.1["name"], "bell \u{fffd} and \u{fffd}");
}

#[test]
fn each_file_is_told_when_it_is_done() {
    let test = |name| {
        format!(
            "defaults: {{ namespace: n, tenant: t, provider: p, action_type: a }}\n\
             tests: [{{ name: {name}, timeline: [{{ at: 0s, dispatch: {{}} }}] }}]"
        )
    };
    let one = test("one");
    let two = test("two");
    let files = [
        ("r.yaml", RULES),
        ("b.test.yml", &two),
        ("a.test.yaml", &one),
    ];
    let folder = folder(&files.map(|(name, text)| (name, text as &str)));
    let suite = Suite::load(folder.path(), bare()).unwrap();
    let mut lines = Vec::new();
    let done = |file: &crate::FileReport| lines.push(file.to_string());
    let report = suite.run(&Selection::default(), done).unwrap();
    assert_eq!(report.summary(), "2 files, 2 tests: 2 passed, 0 failed");
    let path = |name| folder.path().join(name).display().to_string();
    let line = |name| format!("ok      {}  1 test", path(name));
    assert_eq!(lines, [line("a.test.yaml"), line("b.test.yml")]);
    let none = Selection {
        filter: Some("three".to_owned()),
        ..Selection::default()
    };
    assert_eq!(suite.run(&none, |_| {}).unwrap().tests(), 0);
}

#[test]
fn a_directory_without_tests_or_without_rules_is_told_so() {
    let load = |files: &[(&str, &str)]| {
        let folder = folder(files);
        Suite::load(folder.path(), bare()).err().unwrap()
    };
    let none = load(&[("rules.yaml", RULES)]);
    assert!(matches!(none, LoadError::NoTests(_)), "{none}");
    let empty = load(&[("rules.yaml", RULES), ("a.test.yaml", "tests: []")]);
    assert!(matches!(empty, LoadError::NoTests(_)), "{empty}");
    let tests = load(&[("a.test.yaml", WRONG)]);
    assert!(matches!(tests, LoadError::NoRules(_)), "{tests}");
    let missing = Suite::load(Path::new("/nowhere/at/all"), bare())
        .err()
        .unwrap();
    assert!(missing.to_string().contains("/nowhere/at/all"), "{missing}");
}

#[test]
fn what_is_wrong_with_rules_and_tests_is_told_at_once() {
    let error = load("rules: [{ nam: x }]", "tests: [{ nam: y }]", bare())
        .err()
        .unwrap();
    let lines = error.to_string();
    for wanted in [
        "rules.yaml:1:11: unknown key `nam`",
        "a.test.yaml:1:11: unknown key `nam`; did you mean `name`?",
    ] {
        assert!(lines.contains(wanted), "{lines}");
    }
}
