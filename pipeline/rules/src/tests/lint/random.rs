//! Random rules: a rule that is reported never to match never does. A failing case is printed with its seed.

use acteon_core::{Action, Labels};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::tests::properties::{actions, answered, rules};
use crate::tests::{action, file, new_year, set};
use crate::{CompileSettings, RuleSet, lint};

/// Few fields and values, so that tests often overlap.
fn value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(1),
        json!(2),
        json!(3),
        json!("a"),
        json!("b"),
        json!("ab"),
        json!(["a"]),
        json!([1]),
    ])
}

fn close_test() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(vec![
        "action.payload.a",
        "action.payload.b",
        "action.tenant",
        "action.metadata.a",
    ]);
    let scalar = || value().prop_filter("no list", |v| !v.is_array());
    let limit = prop::sample::select(vec![json!(1), json!(2), json!(3), json!("a"), json!("ab")]);
    let part = || prop::sample::select(vec!["a", "b", "ab"]);
    let order = prop::sample::select(vec!["gt", "gte", "lt", "lte"]);
    let text = prop::sample::select(vec!["starts_with", "ends_with", "contains"]);
    let pattern = prop::sample::select(vec!["^a", "b$", "^ab$", "b", "[ab]"]);
    let list = || prop::collection::vec(scalar(), 0..4).prop_map(Value::from);
    let operator = prop_oneof![
        2 => scalar().prop_map(|v| ("eq", v)),
        2 => scalar().prop_map(|v| ("ne", v)),
        8 => (order, limit),
        6 => (text, part().prop_map(Value::from)),
        1 => Just(("contains", json!(1))),
        3 => pattern.prop_map(|v| ("matches", v.into())),
        2 => list().prop_map(|v| ("in", v)),
        2 => list().prop_map(|v| ("not_in", v)),
        1 => any::<bool>().prop_map(|v| ("exists", v.into())),
    ];
    (path, operator).prop_map(|(path, (name, operand))| json!({"field": path, name: operand}))
}

fn close_cel() -> impl Strategy<Value = Value> {
    let texts = vec![
        "action.payload.a > 1",
        "action.payload.a > 2",
        "action.payload.a == 'a'",
        "action.payload.a != 'a'",
        "!(action.payload.a > 2)",
        "action.payload.b.startsWith('a')",
        "!has(action.payload.b)",
        "action.payload.a == 1 || action.payload.b > 1",
        "action.tenant in ['a', 'b']",
    ];
    prop::sample::select(texts).prop_map(Value::from)
}

fn close_condition() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => close_test(),
        6 => close_cel(),
        1 => Just(json!({"state_seen": "k", "within_seconds": 60})),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list().prop_map(|parts| json!({"all": parts})),
            list().prop_map(|parts| json!({"any": parts})),
            inner.clone().prop_map(|part| json!({"not": part})),
        ]
    })
}

/// Rules whose later conditions often require what earlier ones do, and more.
fn close_rules() -> impl Strategy<Value = Vec<Value>> {
    let action = prop_oneof![
        4 => Just(json!({"type": "suppress"})),
        2 => Just(json!({"type": "allow"})),
        2 => value().prop_map(|v| json!({"type": "modify", "changes": {"a": v}})),
    ];
    let on_error = prop::sample::select(vec!["skip", "skip", "deny", "fail"]);
    let rule = (
        close_condition(),
        close_test(),
        0..6usize,
        action,
        any::<bool>(),
        on_error,
    );
    prop::collection::vec(rule, 2..5).prop_map(|parts| {
        let mut rules: Vec<Value> = Vec::new();
        for (at, (condition, more, how, action, goes_on, on_error)) in parts.into_iter().enumerate() {
            let before = rules.first().map(|rule| rule["condition"].clone());
            let condition = match (before, how) {
                (Some(before), 0) => json!({"all": [before, more]}),
                (Some(before), 1) => json!({"any": [{"all": [more, before]}, {"all": [before, condition]}]}),
                (Some(before), 2) => json!({"not": {"any": [{"not": before}, more]}}),
                (Some(before), 3) => before,
                _ => condition,
            };
            rules.push(json!({"name": format!("r{at}"), "condition": condition, "action": action, "continue": goes_on, "on_error": on_error}));
        }
        rules
    })
}

fn close_actions() -> impl Strategy<Value = Action> {
    let text = || prop::sample::select(vec!["a", "b", "ab"]);
    let field = || prop::option::of(value());
    (text(), prop::option::of(text()), field(), field()).prop_map(|(tenant, label, a, b)| {
        let fields = [("a", a), ("b", b)].into_iter();
        let payload = fields.filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Action {
            tenant: tenant.into(),
            labels: Labels::from_iter(label.map(|label| ("a", label))),
            ..action(Value::Object(payload.collect()))
        }
    })
}

/// The rules that are reported never to match.
fn never_matching(rules: &[Value]) -> (RuleSet, Vec<String>) {
    let text = json!({ "rules": rules }).to_string();
    let set = set(&text);
    let warnings = lint(
        &set,
        &[file("rules.yaml", &text)],
        &CompileSettings::default(),
        &[],
    );
    let never = warnings
        .iter()
        .filter(|w| w.message.contains("can never match"));
    let name = |message: &str| message.split('`').nth(1).unwrap().to_owned();
    let never = never.map(|warning| name(&warning.message)).collect();
    (set, never)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_rule_that_is_said_never_to_match_never_matches(
        (rules, actions) in prop_oneof![
            5 => (close_rules(), prop::collection::vec(close_actions(), 12)),
            1 => (rules(), prop::collection::vec(actions(), 6)),
        ],
        away in prop_oneof![Just(0), any::<u64>()],
    ) {
        let (set, never) = never_matching(&rules);
        if never.is_empty() {
            return Ok(());
        }
        for action in actions {
            let gathered = answered(set.ask(&action, new_year()), away);
            let decision = set.decide(&action, new_year(), &gathered);
            let all = decision.details.iter().flat_map(|details| &details.matched);
            for matched in all.chain(&decision.matched_rule) {
                prop_assert!(!never.contains(&matched.to_string()), "{matched} of {never:?} matched {action:?}");
            }
        }
    }

    #[test]
    fn tests_that_are_said_to_contradict_each_other_hold_for_no_value(
        parts in prop::collection::vec((close_test(), any::<bool>()), 1..4),
    ) {
        let part = |(mut test, holds): (Value, bool)| {
            test["field"] = json!("action.payload.a");
            if holds { test } else { json!({"not": test}) }
        };
        let all: Vec<_> = parts.into_iter().map(part).collect();
        let rule = json!({"name": "r", "condition": {"all": all}, "action": {"type": "allow"}});
        let (set, never) = never_matching(&[rule]);
        let values = json!([
            null, true, 0, 1, 1.5, 2, 2.5, 3, 4, "", "a", "aa", "ab", "abb", "aba", "b", "ba", "bab", "c", "\u{0}",
            [], ["a"], ["b", "ab"], [1], [1, "a", "b"], ["ab", "a", 2], {}, {"a": 1}
        ]);
        for value in values.as_array().unwrap().iter().filter(|_| !never.is_empty()) {
            let decision = set.decide(&action(json!({"a": value})), new_year(), &Default::default());
            prop_assert!(decision.matched_rule.is_none(), "{value}");
        }
    }
}
