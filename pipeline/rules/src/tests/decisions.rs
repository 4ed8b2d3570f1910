//! The effects of the actions of rules, and how matches add up.

use std::time::Duration;

use acteon_core::state::{StateKey, WhenFull};
use acteon_core::{Action, Verdict};
use serde_json::{Value, json};

use super::{StateAnswers, action, decide, new_year, raw_action, set};
use crate::{Decision, DeliveryPlan, Effect};

fn plan(decision: &Decision) -> &DeliveryPlan {
    match &decision.effect {
        Effect::Deliver(plan) => plan,
        other => panic!("{other:?}"),
    }
}

fn payload(decision: &Decision) -> Value {
    let payload = plan(decision).payload.as_ref();
    payload.expect("a changed payload").parse().unwrap()
}

fn key(name: &str) -> StateKey {
    StateKey::new("shop", "acme", "r", name)
}

#[test]
fn rules_are_tried_by_priority_then_place_and_the_first_match_decides() {
    let text = "
rules:
  - { name: late, priority: 5, condition: { all: [] }, action: { type: deny } }
  - { name: other, condition: { field: action.tenant, eq: other }, action: { type: deny } }
  - { name: first, condition: { all: [] }, action: { type: suppress } }
  - { name: second, condition: { all: [] }, action: { type: allow } }
  - { name: off, priority: -9, enabled: false, condition: { all: [] }, action: { type: allow } }";
    let decision = decide(text, &action(json!({})));
    assert_eq!(decision.verdict, Verdict::Suppress);
    assert_eq!(decision.matched_rule.as_deref(), Some("first"));
    assert!(matches!(decision.effect, Effect::Suppress { rule } if &*rule == "first"));
}

#[test]
fn a_dedup_rule_claims_its_key_for_its_time() {
    let claim = |parameters: &str, action: &Action| {
        let text = format!(
            "rules: [{{name: r, condition: {{all: []}}, action: {{type: dedup{parameters}}}}}]"
        );
        let decision = decide(&text, action);
        assert_eq!(decision.verdict, Verdict::Deduplicate);
        plan(&decision).gates.reservation.claims[0].clone()
    };
    let mut action = action(json!({"a": "x", "b": {"z": 1, "y": [true, 1.0]}}));
    assert_eq!(claim("", &action).ttl, Duration::from_secs(86_400));
    assert_eq!(claim("", &action).key, key("id=a-1"));
    action.dedup_key = Some("k".into());
    assert_eq!(claim(", ttl_seconds: 60", &action).key, key("key=k"));
    assert_eq!(
        claim(", ttl_seconds: 60", &action).ttl,
        Duration::from_secs(60)
    );
    let listed = ", key: [payload.a, payload.none, action.payload.b, tenant]";
    assert_eq!(
        claim(listed, &action).key,
        key(r#"["x",null,{"y":[true,1],"z":1},"acme"]"#)
    );
    assert_eq!(
        claim(", key: [payload.none, status]", &action).key,
        key("key=k")
    );
}

#[test]
fn different_values_never_make_the_same_key() {
    let text = "rules: [{name: r, condition: {all: []}, action: {type: dedup, key: [payload.a, payload.b]}}]";
    let set = set(text);
    let values = [
        json!(null),
        json!(""),
        json!("-"),
        json!("1:"),
        json!("1:-"),
        json!("x"),
        json!("x1:x"),
        json!("y".repeat(300)),
        json!("z".repeat(300)),
    ];
    let mut keys = std::collections::HashSet::new();
    for a in &values {
        for b in &values {
            if a.is_null() && b.is_null() {
                continue;
            }
            let decision = set.decide(
                &action(json!({"a": a, "b": b})),
                new_year(),
                &StateAnswers::default(),
            );
            let key = plan(&decision).gates.reservation.claims[0].key.clone();
            assert!(key.as_str().len() < 300);
            assert!(keys.insert(key), "{a} {b}");
        }
    }
}

#[test]
fn a_throttle_rule_asks_for_a_place_under_its_key() {
    let quota = |parameters: &str| {
        let text = format!(
            "rules: [{{name: r, condition: {{all: []}}, action: {{type: throttle, max_count: 3, window_seconds: 60{parameters}}}}}]"
        );
        let gates = plan(&decide(&text, &action(json!({"user": 7}))))
            .gates
            .clone();
        let (_, on_full) = gates.quota_rules[0].clone();
        (gates.reservation.quotas[0].clone(), on_full)
    };
    let (default, on_full) = quota("");
    assert_eq!(default.key, key("tenant=acme"));
    assert_eq!(
        (default.max_count, default.window),
        (3, Duration::from_secs(60))
    );
    assert_eq!((default.when_full, on_full), (WhenFull::Refuse, None));
    assert_eq!(quota(", key: [payload.user]").0.key, key("[7]"));
    assert_eq!(quota(", key: [payload.none]").0.key, key("[null]"));
    let (other, on_full) = quota(", on_exceeded: reroute, target_provider: slow");
    assert_eq!(
        (other.when_full, on_full.as_deref()),
        (WhenFull::Continue, Some("slow"))
    );
}

#[test]
fn a_weighted_reroute_is_stable_by_id_and_keeps_its_proportions() {
    let set = set("
rules:
  - name: split
    condition: { all: [] }
    action: { type: reroute, targets: [{ provider: a, weight: 1 }, { provider: b, weight: 3 }] }");
    let mut to_b = 0;
    for i in 0..4000 {
        let mut action = action(json!({}));
        action.id = format!("id-{i}").into();
        let target = |set: &crate::RuleSet| {
            plan(&set.decide(&action, new_year(), &StateAnswers::default()))
                .provider
                .clone()
        };
        assert_eq!(target(&set), target(&set));
        to_b += i32::from(target(&set).as_deref() == Some("b"));
    }
    assert!((2850..3150).contains(&to_b), "{to_b} of 4000");
}

#[test]
fn a_patch_merges_and_its_templates_bring_in_values() {
    let text = r#"
rules:
  - name: r
    condition: { all: [] }
    action:
      type: modify
      changes:
        removed: null
        added: { deep: 1, gone: null }
        list: [1, null, "{{ action.payload.n }}"]
        number: "{{ action.payload.n }}"
        object: "{{action.payload.object}}"
        absent: "{{ action.payload.absent }}"
        text: "{{ action.payload.n }} for {{ action.payload.name }}{{ action.payload.absent }}: {{ action.payload.object }}"
        labels: "{{ action.metadata }}"
        hour: "{{ time.hour }}"
        plain: "a } b"
"#;
    let decision = decide(
        text,
        &action(
            json!({"removed": 1, "kept": "k", "n": 2.50, "name": "\"Zoë\"\n", "object": {"b": null, "a": 1}, "added": {"gone": 1, "stays": 2}}),
        ),
    );
    assert_eq!(decision.verdict, Verdict::Modify);
    let expected = json!({
        "kept": "k", "n": 2.5, "name": "\"Zoë\"\n",
        "added": {"stays": 2, "deep": 1},
        "list": [1, null, 2.5],
        "number": 2.5,
        "object": {"b": null, "a": 1},
        "absent": null,
        "text": "2.5 for \"Zoë\"\n: {\"a\":1,\"b\":null}",
        "labels": {"env": "prod", "a.b": "dotted"},
        "hour": 22,
        "plain": "a } b",
    });
    assert_eq!(payload(&decision), expected);
}

#[test]
fn a_patch_replaces_a_payload_that_is_no_object() {
    let modify = |changes: &str, action: &Action| {
        let text = format!(
            "rules: [{{name: r, condition: {{all: []}}, action: {{type: modify, changes: {changes}}}}}]"
        );
        payload(&decide(&text, action))
    };
    assert_eq!(modify("{a: 1}", &raw_action("[1]")), json!({"a": 1}));
    assert_eq!(
        modify("'{{ action.payload.0 }}'", &raw_action("[[7]]")),
        json!([7])
    );
    assert_eq!(modify("{a: null}", &raw_action("3")), json!({}));
}

#[test]
fn matches_that_continue_add_up() {
    let text = r#"
rules:
  - { name: limit, continue: true, condition: { all: [] }, action: { type: throttle, max_count: 1, window_seconds: 1 } }
  - { name: mark, continue: true, condition: { field: action.payload.n, eq: 1 }, action: { type: modify, changes: { n: 2, seen: "{{ action.payload.n }}" } } }
  - { name: old, condition: { field: action.payload.n, eq: 1 }, action: { type: deny } }
  - { name: there, continue: true, condition: { field: action.payload.n, eq: 2 }, action: { type: reroute, target_provider: x } }
  - { name: back, continue: true, condition: { field: action.provider, eq: mail }, action: { type: reroute, target_provider: y } }
  - { name: more, continue: true, condition: { field: action.payload.seen, eq: 1 }, action: { type: modify, changes: { m: "{{ action.payload.n }}" } } }
  - { name: once, condition: { field: action.payload.m, eq: 2 }, action: { type: deduplicate, key: [payload.n] } }
  - { name: never, condition: { all: [] }, action: { type: deny } }
"#;
    let decision = decide(text, &action(json!({"n": 1})));
    assert_eq!(decision.verdict, Verdict::Deduplicate);
    assert_eq!(decision.matched_rule.as_deref(), Some("once"));
    assert_eq!(payload(&decision), json!({"n": 2, "seen": 1, "m": 2}));
    let plan = plan(&decision);
    assert_eq!(plan.provider.as_deref(), Some("y"));
    assert_eq!(&*plan.gates.quota_rules[0].0, "limit");
    assert_eq!(
        plan.gates.reservation.claims[0].key,
        StateKey::new("shop", "acme", "once", "[2]")
    );
}

#[test]
fn a_refusal_ends_it_even_when_it_says_continue() {
    let text = "
rules:
  - { name: no, continue: true, condition: { all: [] }, action: { type: deny } }
  - { name: yes, condition: { all: [] }, action: { type: allow } }";
    let decision = decide(text, &action(json!({})));
    assert_eq!(
        (decision.verdict, decision.matched_rule.as_deref()),
        (Verdict::Deny, Some("no"))
    );
}

#[test]
fn the_last_match_names_the_verdict_even_when_nothing_decides_after_it() {
    let text = "
rules:
  - { name: r, continue: true, condition: { all: [] }, action: { type: reroute, target_provider: x } }
  - { name: n, condition: { any: [] }, action: { type: deny } }";
    let decision = decide(text, &action(json!({})));
    assert_eq!(
        (decision.verdict, decision.matched_rule.as_deref()),
        (Verdict::Reroute, Some("r"))
    );
    assert_eq!(plan(&decision).provider.as_deref(), Some("x"));
}

/// Twenty copies of 64 KiB are more than templates may write.
fn too_long(on_error: &str) -> Decision {
    let copies = "{{ action.payload.big }}".repeat(20);
    let text = format!(
        "rules:\n  - {{ name: grow, {on_error} condition: {{ all: [] }}, action: {{ type: modify, changes: {{ x: '{copies}' }} }} }}\n  - {{ name: next, condition: {{ all: [] }}, action: {{ type: reroute, target_provider: x }} }}"
    );
    decide(&text, &action(json!({"big": "b".repeat(65_536)})))
}

#[test]
fn a_rule_that_cannot_do_what_it_says_is_skipped_or_denies_or_fails() {
    let skipped = too_long("");
    assert_eq!(
        (skipped.matched_rule.as_deref(), skipped.rule_errors),
        (Some("next"), 1)
    );
    assert_eq!(plan(&skipped).payload, None);
    let denied = too_long("on_error: deny,");
    assert_eq!((denied.verdict, denied.rule_errors), (Verdict::Deny, 1));
    assert!(matches!(denied.effect, Effect::Suppress { rule } if &*rule == "grow"));
    let failed = too_long("on_error: fail,");
    assert_eq!(
        (failed.verdict, failed.matched_rule.as_deref()),
        (Verdict::Modify, Some("grow"))
    );
    let Effect::Fail(failure) = failed.effect else {
        panic!("{:?}", failed.effect);
    };
    assert_eq!(
        failure.message,
        "rule \"grow\" could not be applied: its templates write more than 1048576 bytes"
    );
}

#[test]
fn a_payload_never_grows_or_nests_without_limit() {
    let mut rules = String::from("rules:\n");
    for i in 0..100 {
        rules.push_str(&format!("  - {{ name: r{i}, continue: true, condition: {{ all: [] }}, action: {{ type: modify, changes: {{ x: '{{{{ action.payload }}}}' }} }} }}\n"));
    }
    let deep = decide(&rules, &action(json!({"a": 1})));
    assert!(deep.rule_errors > 30, "{}", deep.rule_errors);
    let wide = decide(&rules, &action(json!({"a": "b".repeat(300_000)})));
    assert!(plan(&wide).payload.as_ref().unwrap().len() < 1_400_000);
}

#[test]
fn what_a_patch_does_not_name_keeps_its_bytes() {
    let text = r#"rules: [{name: r, condition: {all: []}, action: {type: modify, changes: {a: {x: null}, big: "{{ action.payload.n }}", t: "<{{ action.payload.n }}>"}}}]"#;
    let raw = r#"{"n":12345678901234567890123,"a":{"x":1,"y":[ 1e999, "\ud83d\ude00"]},"f":1.5743573983446681e-53,"d":1,"d":2.0}"#;
    let decision = decide(text, &raw_action(raw));
    let changed = plan(&decision).payload.as_ref().unwrap().as_bytes();
    let expected = r#"{"n":12345678901234567890123,"a":{"y":[ 1e999, "\ud83d\ude00"]},"f":1.5743573983446681e-53,"d":2.0,"big":12345678901234567890123,"t":"<12345678901234567890123>"}"#;
    assert_eq!(std::str::from_utf8(changed).unwrap(), expected);
}

#[test]
fn the_last_of_two_equal_keys_is_the_one_that_rules_see() {
    let text = "rules: [{name: r, condition: {field: action.payload.amount, gt: 100}, action: {type: deny}}]";
    let decision = decide(text, &raw_action(r#"{"amount":1,"x":[],"amount":1000}"#));
    assert_eq!(decision.verdict, Verdict::Deny);
}

#[test]
fn no_more_quotas_are_asked_for_than_a_grant_can_note() {
    let mut rules = String::from("rules:\n");
    for i in 0..70 {
        rules.push_str(&format!("  - {{ name: r{i}, continue: true, condition: {{ all: [] }}, action: {{ type: throttle, max_count: 1, window_seconds: 1 }} }}\n"));
    }
    let decision = decide(&rules, &action(json!({})));
    assert_eq!(
        (
            plan(&decision).gates.quota_rules.len(),
            decision.rule_errors
        ),
        (64, 6)
    );
}
