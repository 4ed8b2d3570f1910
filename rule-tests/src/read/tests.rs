use acteon_rules::RuleFile;
use acteon_rules::reading::FileProblems;

use super::{KnownNames, tests};

fn problems(text: &str) -> String {
    let file = RuleFile {
        name: "a.test.yaml".to_owned(),
        text: text.to_owned(),
    };
    let known = KnownNames {
        rules: Some(vec!["quiet-tests", "mail-limit"]),
        providers: Some(vec!["email", "pager"]),
    };
    let mut problems = FileProblems::of(&file.name);
    tests(&file, &known, &mut problems);
    let lines = problems.into_list();
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    let text = r#"
defaults: { namspace: shop, tenant: acme, action_type: 7 }
test: []
tests:
  - name: ""
    strat: 2026-01-05T09:00:00Z
    timeline: []
  - name: times
    start: 2026-01-05 09:00
    timeline:
      - { at: 5, dispatch: {} }
      - { at: 401d, given: { disabled: [mail-limit] } }
      - { dispatch: { namespace: n, provider: email, action_type: a }, times: 0 }
      - { at: 1m, times: 3 }
  - name: actions
    timeline:
      - at: 0s
        dispatch: { namespace: n, provider: email, paylod: {} }
      - at: 0s
        dispatch: { namespace: n, provider: email, action_type: a, metadata: { env: 3 }, id: "" }
      - at: 0s
        dispatch: [1]
  - name: expectations
    timeline:
      - at: 1h
        dispatch: { namespace: n, provider: email, action_type: a }
        expect: { outcome: executed, rule: quiet-test, provider: slack, calls: 1, retry_after: soon, code: TIMEOUTS }
      - at: 1h
        dispatch: { namespace: n, provider: email, action_type: a }
        expect: {}
      - at: 59m
        expect: { provider: email }
      - at: 1h
        expect: [{ outcome: Executed, provider: email }, { calls: -1 }]
  - name: given
    given:
      providers: { pagr: fails, email: broken, pager: [] }
      events: [{ fingerprint: f, event_typ: x, active: maybe, values: [1] }]
      enabled: [unknown]
      time: now
    timeline: [{ at: 0s }]
  - name: twice
    timeline: [{ at: 0s, expect: { provider: email, calls: 0 } }]
  - name: twice
    timeline: [{ at: 0s, expect: { provider: email, calls: 0 } }]
"#;
    insta::assert_snapshot!(problems(text));
}

#[test]
fn what_is_no_test_file_is_told_so() {
    assert_eq!(
        problems(""),
        "a.test.yaml:1:1: the file is empty; expected the key `tests`"
    );
    assert_eq!(
        problems("{}"),
        "a.test.yaml:1:1: the key `tests` is missing"
    );
    assert!(problems("tests: [").contains("this is not YAML"));
    let large = "#".repeat(RuleFile::BYTES_MAX + 1);
    assert_eq!(
        problems(&large),
        "a.test.yaml:1:1: a test file may be 1048576 bytes long"
    );
}

#[test]
fn a_test_is_bounded() {
    let step = "{ at: 0s, times: 10000, dispatch: { namespace: n, tenant: t, provider: email, action_type: a } }";
    let test = |steps: &[&str]| {
        let timeline = steps.join(", ");
        problems(&format!("tests: [{{ name: x, timeline: [{timeline}] }}]"))
    };
    assert_eq!(test(&[step; 10]), "");
    assert!(test(&[step; 11]).contains("more than 100000 actions in one test"));
    assert!(test(&[&step.replace("10000", "10001")]).contains("an integer from 1 to 10000"));
    let check = "{ at: 0s, expect: { provider: email, calls: 0 } }";
    assert!(test(&vec![check; 10_001]).contains("a timeline has 1 to 10000 steps"));
}

#[test]
fn a_timeline_goes_forward() {
    let step = |at: &str| format!("{{ at: {at}, expect: {{ provider: email, calls: 0 }} }}");
    let timeline = ["1h", "1h", "59m", "60m"].map(step).join(",\n");
    assert_eq!(
        problems(&format!("tests: [{{ name: x, timeline: [{timeline}] }}]")),
        "a.test.yaml:3:1: 59m is before the step above it, 1h: the steps of a timeline must be in order"
    );
}

#[test]
fn an_action_is_read_as_over_http() {
    let deep = "[".repeat(66) + &"]".repeat(66);
    let step = |action: &str| {
        problems(&format!(
            "defaults: {{ namespace: n, tenant: t, provider: email, action_type: a }}\n\
             tests: [{{ name: x, timeline: [{{ at: 0s, dispatch: {action} }}] }}]"
        ))
    };
    assert_eq!(
        step("{ payload: [1.5, null, {}], metadata: { a: b }, starts_at: 2026-01-05T09:00:00Z }"),
        ""
    );
    assert!(step(&format!("{{ payload: {deep} }}")).contains("nested deeper than"));
    assert!(
        step("{ starts_at: yesterday }").contains("2:64: `starts_at`: must be a time of RFC 3339")
    );
    assert!(step("{ tenant: \"a\\nb\" }").contains("`tenant`: holds a control character"));
}

#[test]
fn a_number_that_would_lose_digits_is_refused() {
    let text = "tests: [{ name: t, timeline: [{ dispatch: { namespace: n, tenant: t, provider: email, action_type: a, \
                payload: { id: 99999999999999999999 } } }] }]";
    let said = problems(text);
    assert!(
        said.contains("`99999999999999999999` has more digits than a test can hold"),
        "{said}"
    );
}
