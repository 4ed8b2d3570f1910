//! The exact messages for broken files.

use compact_str::CompactString;

use super::{compile, file, listed};
use crate::{CompileSettings, KnownProviders, RuleFile, RuleSet};

fn problems(files: &[RuleFile]) -> String {
    let settings = CompileSettings {
        environment: vec![("REGION".into(), "eu".into())],
        providers: KnownProviders::Only(["mail", "slack"].map(CompactString::from).into()),
        ..CompileSettings::default()
    };
    listed(&RuleSet::compile(files, &settings).expect_err("the files are broken"))
}

const SHAPES: &str = r#"version: 1
rules:
  - name: typo
    priorty: 1
    condition: { field: action.payload.amount, start_with: x }
    action: { type: supress }
  - priority: high
    enabled: maybe
    continue: 1
    on_error: ignore
    timezone: Europe/Berln
    metadata: { team: 7 }
    condition: {}
    action: suppress
  - just text
  - name: ""
    condition:
      all: { field: now, gt: 1 }
      gt: 5
      alll: []
    action: {}
  - name: typo
    description: 5
    condition: { field: payload.amount }
    action: { type: allow, reason: no }
  - name: twice
    name: twice
    condition: { not: [ { field: time.hours, gt: 3 } ] }
    action: { type: allow }
"#;

const CONDITIONS: &str = r#"
rules:
  - name: operands
    action: { type: allow }
    condition:
      all:
        - { field: action.payload.a, eq: [1] }
        - { field: action.payload.a, gt: true }
        - { field: action.payload.a, in: x, exists: "yes" }
        - { field: action.payload.a, in: [x, {}] }
        - { field: action.payload.a, starts_with: 5 }
        - { field: action.payload.a, contains: null }
        - { field: action.payload.a, matches: "(open" }
        - { field: action.payload.a, regex: "(?:x{1000}){1000}" }
        - { field: action.tenent, eq: x }
        - { field: env.REGIN, eq: x }
        - { field: action.metadata.a.b, eq: x }
        - { field: "action.payload.items[0]", eq: x }
        - { field: 7, eq: x }
        - { field: action.payload.a, eq: .nan }
  - name: later
    condition: "action.payload.amount > 5"
    action: { type: group, group_by: [metadata.cluster] }
  - name: later too
    action: { type: state_machine, state_machine: m }
    condition:
      any:
        - { cel: "acton.tenant == 'a'" }
"#;

const STATE: &str = r#"
rules:
  - name: state
    action: { type: allow }
    condition:
      all:
        - { state_seen: "k" }
        - { state_seen: "k", within_seconds: 60, eq: true }
        - { state_seen: "", within_seconds: 31622401 }
        - { state_seen: ["k"], within_seconds: "60" }
        - { state_counter: "k" }
        - { state_counter: "k", within_seconds: 0, gte: 5 }
        - { state_counter: "{{ action.tenent }}", gte: 5 }
        - { state_counter: "{{ action.tenant", gte: five, gt: true }
        - { call: has_active_events, args: [x] }
        - { call: has_active_event, args: [] }
        - { call: has_active_event, args: [x, y, z] }
        - { call: has_active_event, args: [x], eq: true }
        - { call: get_event_state, args: [action.fingerprint] }
        - { call: get_event_state, args: [a, b], eq: firing }
        - { call: event_in_state, args: [a] }
        - { call: event_in_state, args: [a, action.payload..state] }
        - { call: event_in_state, args: [a, null] }
        - { call: event_in_state, args: a }
        - { call: event_in_state }
        - { call: event_in_state, args: [a, b], within_seconds: 5 }
        - { field: now, gt: 1, state_seen: "k", within_seconds: 5 }
        - { state_counter: "a", within_seconds: 5, state_seen: "k", call: has_active_event, args: [x] }
        - { field: now, gt: 1, within_seconds: 5 }
        - { all: [], args: [x] }
        - { state_sen: "k", within_seconds: 5 }
"#;

const ACTIONS: &str = r#"
rules:
  - { name: a, condition: { all: [] }, action: { type: throttle, max_count: 0, window_seconds: -1, key: [] } }
  - { name: b, condition: { all: [] }, action: { type: throttle, key: "action.tenant", on_exceeded: reroute } }
  - { name: c, condition: { all: [] }, action: { type: throttle, max_count: 1, window_seconds: 1.5, on_exceeded: wait, target_provider: mail } }
  - { name: d, condition: { all: [] }, action: { type: reroute, target_provider: mial, targets: [] } }
  - { name: e, condition: { all: [] }, action: { type: reroute, targets: [{ provider: mail, weight: 0 }, { provider: slak, wieght: 1 }, mail] } }
  - { name: f, condition: { all: [] }, action: { type: reroute } }
  - { name: g, condition: { all: [] }, action: { type: dedup, ttl_seconds: 0, keys: [id], key: [5, metdata.x] } }
  - { name: h, condition: { all: [] }, action: { type: modify } }
  - { name: i, condition: { all: [] }, action: { type: modify, changes: { a: "{{ payload.x }}", b: ["{{ action.id"] } } }
  - { name: j, condition: { all: [] }, action: { type: modify, changes: null } }
  - { name: k, condition: { all: [] }, action: { type: modify, changes: { a: &x 1, b: *x, c: !!str 1 } } }
  - { name: typo, condition: { all: [] }, action: { type: allow } }
"#;

#[test]
fn all_problems_of_three_files_are_told_at_once_each_with_its_place() {
    let files = [
        file("30-actions.yaml", ACTIONS),
        file("10-shapes.yaml", SHAPES),
        file("20-conditions.yaml", CONDITIONS),
    ];
    insta::assert_snapshot!(problems(&files));
}

#[test]
fn what_is_wrong_with_conditions_on_the_state_is_told() {
    insta::assert_snapshot!(problems(&[file("state.yaml", STATE)]));
}

#[test]
fn a_file_that_is_no_rule_file_is_told_so() {
    let files = [
        file("a-empty.yaml", "# nothing\n"),
        file("b-list.yaml", "- name: x\n"),
        file("c-broken.yaml", "rules:\n  - name: [x\n"),
        file("d-two.yaml", "rules: []\n---\nrules: []\n"),
        file("e-key.yaml", "rules: []\n? [a]\n: 1\n"),
        file("f-null.yaml", "rules:\n"),
        file("g-tab.yaml", "rules:\n\t- name: x\n"),
        file("h-text.yaml", "just text"),
        file("i-rule.yaml", "rule: []\n"),
    ];
    insta::assert_snapshot!(problems(&files));
}

/// Words of other systems, and places of errors in CEL.
const OTHER_WORDS: &str = r#"
rules:
  - name: a
    when: { field: action.tenant, equals: acme }
    condition: { all: [ { field: action.payload.n, max: 5, '>': 1 }, { path: action.tenant, is: x } ] }
    then: { type: allow }
    action: { type: throttle, max: 5, window: 60, by: [tenant] }
  - name: b
    if: true
    condition: action.payload.n = 3
    action: { type: dedup, ttl: 60, fields: [id] }
  - name: c
    condition: { cel: "action.tenant == 'a' and action.payload.n > 1" }
    action: { type: reroute, provider: mail }
  - name: d
    condition:
      any:
        - { field: provider, equals: mail }
        - cel: |
            action.tenant == 'a' &&
              action.payload.n = 1
        - cel: 'action.tenant == ''a'' & true'
        - "size(action.payload.n"
        - |-

          size(action.payload.n
        - >
          action.tenant == 'a' &&
            tenant == 'b'
    action: { type: drop }
    tags: { team: ops }
  - name: e
    condition: { field: action.tenant, neq: a }
    action: { type: throttle, limit: 1, window_seconds: 1, on_exceeded: reroute, provider: mail, key: "action.tenent" }
"#;

#[test]
fn words_of_other_systems_are_told_with_the_right_ones() {
    insta::assert_snapshot!(problems(&[file("rules.yaml", OTHER_WORDS)]));
}

#[test]
fn messages_do_not_repeat_long_values() {
    let long = "x".repeat(10_000);
    let text = format!(
        "rules:\n  - {{ name: r, {long}: 1, condition: {{ field: {long}, {long}: 1 }}, action: {{ type: {long} }} }}"
    );
    for problem in compile(&text).unwrap_err() {
        assert!(problem.message.len() < 600, "{}", problem.message);
    }
}
