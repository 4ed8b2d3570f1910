//! The expectations of timelines: outcomes, rules, payloads, windows, times of day, state.

use super::{bare, configured, one, passes, run};

const ONCE: &str = "
rules:
  - name: once
    condition: { field: action.payload.order, exists: true }
    action: { type: deduplicate, key: [payload.order], ttl_seconds: 3600 }";

#[test]
fn a_dedup_window_ends_to_the_second() {
    passes(
        ONCE,
        "
- at: 0s
  dispatch: { payload: { order: 1 } }
  expect: { outcome: Executed, rule: once }
- at: 59m59s
  dispatch: { payload: { order: 1 } }
  times: 5
  expect: { outcome: Deduplicated, rule: once }
- at: 1h
  dispatch: { payload: { order: 1 } }
  expect: { outcome: Executed }
- at: 1h
  expect: { provider: log, calls: 2, payload: { order: 1 } }",
    );
}

#[test]
fn a_throttled_action_is_told_how_long_to_wait() {
    let rules = "
rules:
  - name: calm
    condition: { all: [] }
    action: { type: throttle, max_count: 2, window_seconds: 86400 }";
    passes(
        rules,
        "
- at: 1h
  dispatch: {}
  times: 2
  expect: { outcome: Executed }
- at: 5h
  dispatch: {}
  expect: { outcome: Throttled, rule: calm, retry_after: 20h }
- at: 1d1h
  dispatch: {}
  expect: { outcome: Executed }",
    );
}

#[test]
fn without_configuration_the_target_of_a_rule_is_a_provider() {
    let rules = "
rules:
  - { name: move, condition: { field: action.payload.big, eq: true }, action: { type: reroute, target_provider: slow } }";
    passes(
        rules,
        "
- at: 0s
  dispatch: { payload: { big: true } }
  expect: { outcome: Rerouted, rule: move }
- at: 0s
  dispatch: { provider: anybody }
  expect: { outcome: Executed, provider: anybody }
- at: 0s
  expect:
    - { provider: slow, calls: 1, payload_has: { big: true } }
    - { provider: log, calls: 0 }",
    );
}

#[test]
fn with_configured_providers_another_one_is_not_found() {
    let timeline = "
- at: 0s
  dispatch: { provider: unknown }
  expect: { outcome: Failed, code: PROVIDER_NOT_FOUND }";
    let report = run(ONCE, &one(timeline), configured(&["log"], |_| {}));
    assert_eq!(report.failures(), "");
}

#[test]
fn a_rule_that_only_allows_is_a_rule_that_decided() {
    let rules = "
rules:
  - { name: vip, priority: 1, condition: { field: action.tenant, eq: gold }, action: { type: allow } }
  - { name: mute, priority: 2, condition: { all: [] }, action: { type: suppress } }";
    passes(
        rules,
        "
- at: 0s
  dispatch: { tenant: gold }
  expect: { outcome: Executed, rule: vip }
- at: 0s
  dispatch: {}
  expect: { outcome: Suppressed, rule: mute }",
    );
}

#[test]
fn an_id_that_was_answered_is_answered_again_for_a_while() {
    passes(
        ONCE,
        "
- at: 0s
  dispatch: { id: a-1 }
  expect: { outcome: Executed }
- at: 1m
  dispatch: { id: a-1 }
  expect: { outcome: Executed }
- at: 1m
  expect: { provider: log, calls: 1 }
- at: 10m
  dispatch: { id: a-1 }
- at: 10m
  expect: { provider: log, calls: 1 }",
    );
}

#[test]
fn rules_see_the_time_of_the_timeline_in_their_zone() {
    let rules = "
rules:
  - name: night
    timezone: America/New_York
    condition: { field: time.hour, lt: 6 }
    action: { type: suppress }";
    let tests = "
defaults: { namespace: n, tenant: t, provider: log, action_type: a }
tests:
  - name: it
    start: 2026-03-08T00:00:00-05:00 # the clocks go forward at two
    timeline:
      - { at: 0s, dispatch: {}, expect: { outcome: Suppressed, rule: night } }
      - { at: 4h59m59s, dispatch: {}, expect: { outcome: Suppressed } }
      - { at: 5h, dispatch: {}, expect: { outcome: Executed } }
      - { at: 200d, dispatch: {}, expect: { outcome: Suppressed } }";
    assert_eq!(run(rules, tests, bare()).failures(), "");
}

#[test]
fn errors_of_rules_can_be_expected() {
    // One more throttle than an action may match.
    let throttle = |number| {
        format!(
            "  - {{ name: t{number}, continue: true, condition: {{ all: [] }}, \
             action: {{ type: throttle, max_count: 9, window_seconds: 9 }} }}\n"
        )
    };
    let rules: String = (0..65).map(throttle).collect();
    passes(
        &format!("rules:\n{rules}"),
        "
- at: 0s
  dispatch: {}
  times: 2
  expect: { outcome: Executed, rule_errors: 1 }",
    );
}

#[test]
fn what_is_weighted_goes_the_same_way_each_time() {
    let rules = "
rules:
  - name: canary
    condition: { all: [] }
    action: { type: reroute, targets: [{ provider: old, weight: 3 }, { provider: new, weight: 1 }] }";
    let timeline = "
- at: 0s
  dispatch: {}
  times: 100
- at: 0s
  expect: [{ provider: old, calls: 0 }, { provider: new, calls: 0 }]";
    let report = || run(rules, &one(timeline), bare());
    let calls = |report: crate::SuiteReport| -> Vec<u32> {
        let failures = &report.files[0].tests[0].failures[0].mismatches;
        failures.iter().map(|m| m.found.parse().unwrap()).collect()
    };
    let once = calls(report());
    let again = calls(report());
    assert_eq!(once, again);
    assert_eq!(once.iter().sum::<u32>(), 100);
    assert!((10..45).contains(&once[1]), "{once:?}");
}

#[test]
fn rules_are_switched_at_the_start_and_on_the_way() {
    let rules = "
rules:
  - { name: mute, condition: { all: [] }, action: { type: suppress } }
  - { name: late, enabled: false, priority: -1, condition: { all: [] }, action: { type: deny } }";
    let tests = "
defaults: { namespace: n, tenant: t, provider: log, action_type: a }
tests:
  - name: it
    given: { disabled: [mute] }
    timeline:
      - { at: 0s, dispatch: {}, expect: { outcome: Executed, rule: null } }
      - { at: 1m, given: { enabled: [mute] } }
      - { at: 1m, dispatch: {}, expect: { outcome: Suppressed, rule: mute } }
      - { at: 2m, given: { enabled: [late] }, dispatch: {}, expect: { rule: late } }
  - name: each test starts with empty state
    timeline:
      - { at: 0s, dispatch: {}, expect: { outcome: Suppressed, rule: mute } }";
    assert_eq!(run(rules, tests, bare()).failures(), "");
}

#[test]
fn events_and_counts_are_seen_by_rules_that_ask_for_them() {
    let rules = r#"
rules:
  - name: inhibit
    priority: 1
    condition: { call: has_active_event, args: [cluster_down, action.metadata.cluster] }
    action: { type: suppress }
  - name: fourth
    priority: 2
    condition: { state_counter: "{{ action.payload.user }}", gte: 3, within_seconds: 3600 }
    action: { type: suppress }"#;
    let tests = "
defaults: { namespace: n, tenant: t, provider: log, action_type: a }
tests:
  - name: it
    given:
      events: [{ fingerprint: f1, event_type: cluster_down, state: firing, values: [eu-1] }]
    timeline:
      - at: 0s
        dispatch: { metadata: { cluster: eu-1 } }
        expect: { outcome: Suppressed, rule: inhibit }
      - at: 0s
        dispatch: { metadata: { cluster: eu-2 } }
        expect: { outcome: Executed }
      - at: 1h
        given:
          events: [{ fingerprint: f1, event_type: cluster_down, state: resolved, active: false }]
      - at: 1h
        dispatch: { metadata: { cluster: eu-1 } }
        expect: { outcome: Executed }
      - at: 2h
        dispatch: { payload: { user: 7 } }
        times: 3
        expect: { outcome: Executed }
      - at: 2h
        dispatch: { payload: { user: 7 } }
        expect: { outcome: Suppressed, rule: fourth }
      - at: 4h
        dispatch: { payload: { user: 7 } }
        expect: { outcome: Executed }";
    assert_eq!(run(rules, tests, bare()).failures(), "");
}
