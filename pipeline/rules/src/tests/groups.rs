//! Group rules: what they decide, and the keys that clients see.

use std::time::Duration;

use acteon_core::state::{Answer, GroupTiming};
use acteon_core::{Action, Labels, Verdict};
use serde_json::json;

use super::{StateAnswers, action, compile, decide, listed, new_year, raw_action, set};
use crate::{Effect, GroupPlan, RuleSet};

fn rule(parameters: &str) -> String {
    format!(
        "rules: [{{ name: g, condition: {{ all: [] }}, action: {{ type: group, {parameters} }} }}]"
    )
}

fn planned(rules: &str, action: &Action) -> GroupPlan {
    let decision = decide(rules, action);
    match decision.effect {
        Effect::Group(plan) => {
            assert_eq!(decision.verdict, Verdict::Group);
            *plan
        }
        other => panic!("{other:?}"),
    }
}

/// The action of the published vectors.
fn of_cluster(labels: &[(&str, &str)]) -> Action {
    Action {
        namespace: "ns".into(),
        tenant: "t1".into(),
        labels: labels.iter().copied().collect(),
        ..action(json!({}))
    }
}

#[test]
fn the_key_is_the_published_one_and_an_absent_field_adds_nothing() {
    let rules = rule("group_by: [metadata.cluster, metadata.severity]");
    let both = planned(
        &rules,
        &of_cluster(&[("cluster", "prod"), ("severity", "critical")]),
    );
    let one = planned(&rules, &of_cluster(&[("cluster", "prod")]));
    assert_eq!(
        both.group_key,
        "c38eb6646e3c466c79326e9ffe6dd03ff9afd59dee348ddc805451e2271d7fc5"
    );
    assert_eq!(
        one.group_key,
        "0e2e7c6990f8839dda5f9ebc7bacdfd8a1a22226e8fc3f7c83518b673d7b127f"
    );
    let labels: Labels = [("cluster", "prod"), ("severity", "critical")]
        .into_iter()
        .collect();
    assert_eq!(both.settings.labels, labels);
}

#[test]
fn a_path_with_its_head_is_the_same_as_without() {
    let long = rule("group_by: [action.metadata.cluster]");
    let short = rule("group_by: [metadata.cluster]");
    let action = of_cluster(&[("cluster", "prod")]);
    assert_eq!(
        planned(&long, &action).group_key,
        planned(&short, &action).group_key
    );
}

#[test]
fn equal_values_are_one_group_however_they_are_written() {
    let rules = rule("group_by: [payload.v]");
    let key = |value: &str| planned(&rules, &raw_action(&format!("{{\"v\":{value}}}"))).group_key;
    let classes: [&[&str]; 9] = [
        &["7", "7.0", "70e-1", "\"7\""],
        &["0", "-0.0"],
        &["0.5", "5e-1", "0.50"],
        &["true", "\"true\""],
        &["null"],
        &["\"\""],
        &["{\"a\":1,\"b\":[0.5]}", "{ \"b\":[5e-1], \"a\":1.0 }"],
        &["[1,2]"],
        &["123456789012345678901234567890"],
    ];
    let mut keys = Vec::new();
    for class in classes {
        let of_class: Vec<_> = class.iter().map(|value| key(value)).collect();
        assert!(of_class.iter().all(|key| *key == of_class[0]), "{class:?}");
        keys.push(of_class[0].clone());
    }
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn a_group_keeps_the_fields_that_its_members_share() {
    let rules = rule("group_by: [metadata.env, payload.region, tenant, payload.none]");
    let plan = planned(&rules, &action(json!({"region": {"id": 7}})));
    let labels = [
        ("env", "prod"),
        ("payload.region", "{\"id\":7}"),
        ("tenant", "acme"),
    ];
    assert_eq!(plan.settings.labels, labels.into_iter().collect());
}

#[test]
fn waits_and_size_have_defaults_and_can_be_given() {
    let plan = planned(&rule("group_by: [tenant]"), &action(json!({})));
    let seconds = Duration::from_secs;
    let timing = |wait, interval| GroupTiming::Waits {
        wait: seconds(wait),
        interval: seconds(interval),
    };
    assert_eq!((plan.timing, plan.size_max), (timing(30, 300), 100));
    let given =
        "group_by: [tenant], group_wait_seconds: 0, group_interval_seconds: 60, max_group_size: 5";
    let plan = planned(&rule(given), &action(json!({})));
    assert_eq!((plan.timing, plan.size_max), (timing(0, 60), 5));
}

#[test]
fn a_digest_is_due_at_its_next_time_in_the_zone_of_the_rule() {
    let zoned = |zone: &str| {
        format!(
            "rules: [{{ name: g, timezone: {zone}, condition: {{ all: [] }}, action: {{ type: group, group_by: [tenant], flush_at: [\"09:00\"], days: [Friday, Monday] }} }}]"
        )
    };
    // It is Thursday, 22:30 in UTC, and already Friday in Tokyo.
    let due = |zone| planned(&zoned(zone), &action(json!({}))).timing;
    assert_eq!(
        due("UTC"),
        GroupTiming::At("2026-01-02T09:00:00Z".parse().unwrap())
    );
    assert_eq!(
        due("Asia/Tokyo"),
        GroupTiming::At("2026-01-02T00:00:00Z".parse().unwrap())
    );
}

#[test]
fn the_summary_goes_to_the_rules_provider_else_to_the_one_decided_so_far() {
    let own = rule("group_by: [tenant], provider: slack");
    let none = rule("group_by: [tenant]");
    let rerouted = "
rules:
  - { name: r, continue: true, condition: { all: [] }, action: { type: reroute, target_provider: pager } }
  - { name: g, condition: { all: [] }, action: { type: group, group_by: [tenant] } }";
    let provider = |rules: &str| planned(rules, &action(json!({}))).settings.provider;
    assert_eq!(provider(&own), "slack");
    assert_eq!(provider(&none), "mail");
    assert_eq!(provider(rerouted), "pager");
}

#[test]
fn gates_and_changes_of_earlier_rules_apply_to_a_member_and_later_rules_are_not_tried() {
    let rules = "
rules:
  - { name: m, continue: true, condition: { all: [] }, action: { type: modify, changes: { a: 1 } } }
  - { name: d, continue: true, condition: { all: [] }, action: { type: dedup, key: [payload.a] } }
  - { name: g, continue: true, condition: { all: [] }, action: { type: group, group_by: [payload.a] } }
  - { name: s, condition: { all: [] }, action: { type: suppress } }";
    let plan = planned(rules, &action(json!({})));
    assert_eq!(plan.plan.payload.unwrap().as_bytes().as_ref(), b"{\"a\":1}");
    assert_eq!(plan.plan.gates.claim_rules.as_slice(), ["d"]);
    assert_eq!(plan.settings.labels.get("payload.a"), Some("1"));
}

const UNLESS: &str = "
rules:
  - name: g
    condition: { field: action.action_type, eq: order }
    action:
      type: group
      group_by: [tenant]
      unless:
        any:
          - { field: action.payload.quiet, eq: true }
          - { call: has_active_event, args: [outage, action.metadata.env] }";

fn left_out(set: &RuleSet, action: &Action, active: bool) -> bool {
    let unless = set.unless("g").unwrap();
    let reads = unless.ask(action, new_year());
    assert_eq!(reads.len(), 1);
    let answers = StateAnswers::new(reads, [Answer::ActiveEvent(active)]);
    unless.holds(action, new_year(), &answers)
}

#[test]
fn unless_is_asked_for_a_member_with_its_own_reads_of_the_state() {
    let set = set(UNLESS);
    assert!(left_out(&set, &action(json!({})), true));
    assert!(!left_out(&set, &action(json!({})), false));
    assert!(left_out(&set, &action(json!({"quiet": true})), false));
    assert_eq!(set.ask(&action(json!({})), new_year()), []);
    assert!(set.unless("other").is_none());
}

#[test]
fn an_unless_that_cannot_be_evaluated_leaves_no_member_out() {
    let set = set(&rule(
        "group_by: [tenant], unless: \"action.payload.a > 1\"",
    ));
    let unless = set.unless("g").unwrap();
    assert!(!unless.holds(&action(json!({})), new_year(), &StateAnswers::default()));
    assert!(unless.holds(
        &action(json!({"a": 2})),
        new_year(),
        &StateAnswers::default()
    ));
}

#[test]
fn a_template_is_frozen_into_the_group() {
    let rules = rule(
        "group_by: [tenant], template: { text: \"{{ event_count }} orders\", n: 7, l: [true, null] }",
    );
    let template = planned(&rules, &action(json!({}))).settings.template;
    let expected = json!({"text": "{{ event_count }} orders", "n": 7, "l": [true, null]});
    assert_eq!(serde_json::to_value(template).unwrap(), expected);
}

#[test]
fn each_mistake_of_a_group_rule_is_reported_at_its_place() {
    let rules = r#"
rules:
  - name: a
    condition: { all: [] }
    action: { type: group, group_wait_seconds: -1, group_interval_seconds: 0, max_group_size: 0 }
  - name: b
    condition: { all: [] }
    action: { type: group, group_by: [], flush_at: ["9:00", "25:00", 9], days: [Mondy], group_wait_seconds: 5 }
  - name: c
    condition: { all: [] }
    action: { type: group, group_by: [metdata.x], days: [Monday], unless: { field: action.x }, provider: 7 }
  - name: d
    condition: { all: [] }
    action:
      type: group
      group_by: [tenant]
      flush_at: []
      interval: 5
      template:
        text: "{{ event_cuont }}"
        more: ["{{ rule | uper }}", "{% for x in events %}"]
"#;
    let problems = compile(rules).expect_err("the rules are wrong");
    insta::assert_snapshot!(listed(&problems));
}
