//! CEL over real payloads: a table of results, and the bounds.

mod agreement;
mod bounds;
mod hostile;

use acteon_core::Action;
use serde_json::json;

use crate::fault::Fault;
use crate::load::LoadTables;
use crate::tests::{action, new_year};
use crate::{RuleSet, StateAnswers};

use super::CelReader;
use super::evaluate::Program;
use crate::facts::{EnvironmentAccess, FactContext, Facts};
use crate::fault::CelError;

/// The result of a condition, in its native form as far as it has one.
fn lowered(text: &str, action: &Action) -> Result<bool, String> {
    let mut tables = LoadTables::new(&[("REGION".into(), "eu".into())]);
    let zone = tables.paths.zone(&jiff::tz::TimeZone::UTC);
    let mut reader = CelReader {
        tables: &mut tables,
        zone,
    };
    let condition = reader.condition(text).map_err(|wrong| wrong.to_string())?;
    with_facts(action, &tables, |facts| condition.holds(facts))
}

/// The result of an expression that is evaluated without lowering.
fn evaluated(text: &str, action: &Action) -> Result<bool, String> {
    let mut tables = LoadTables::new(&[("REGION".into(), "eu".into())]);
    let zone = tables.paths.zone(&jiff::tz::TimeZone::UTC);
    let mut reader = CelReader {
        tables: &mut tables,
        zone,
    };
    let program: Program = reader.program(text).map_err(|wrong| wrong.to_string())?;
    with_facts(action, &tables, |facts| program.holds(facts))
}

fn with_facts(
    action: &Action,
    tables: &LoadTables,
    look: impl FnOnce(&mut Facts<'_>) -> Result<bool, Fault>,
) -> Result<bool, String> {
    let nothing = StateAnswers::default();
    let context = FactContext {
        now: new_year(),
        zones: &tables.paths.zones,
        answers: &nothing,
        environment: EnvironmentAccess::Shown,
    };
    let mut facts = Facts::new(action, &action.payload, context);
    look(&mut facts).map_err(|fault| fault.to_string())
}

#[track_caller]
fn says(text: &str, expected: Result<bool, CelError>) {
    let action = action(json!({
        "amount": 42, "price": 9.5, "big": 9_223_372_036_854_775_808u64, "low": -3, "flag": true, "none": null,
        "name": "Ünïcode \"q\"", "tags": ["a", "b", 3], "items": [{"sku": "x", "n": 2}, {"sku": "y", "n": 5}],
        "nested": {"a": {"b": 1}, "a.b": "dotted"}, "empty": [], "none_there": {},
    }));
    let expected = expected.map_err(|error| error.to_string());
    assert_eq!(evaluated(text, &action), expected, "{text}");
    assert_eq!(lowered(text, &action), expected, "{text}, lowered");
}

#[test]
fn expressions_say_what_they_say() {
    let holds = [
        "true",
        "!false",
        "action.payload.amount == 42",
        "action.payload.amount == 42.0",
        "42 == action.payload.amount",
        "50 > action.payload.amount",
        "action.payload.amount >= 42 && action.payload.amount <= 42",
        "action.payload.amount != '42'",
        "action.payload.big > 5",
        "action.payload.big == 9223372036854775808u",
        "action.payload.low < -2",
        "action.payload.low == -3",
        "-action.payload.low == 3",
        "action.payload.price * 2.0 == 19.0",
        "action.payload.amount / 5 == 8 && action.payload.amount % 5 == 2",
        "action.payload.amount + 1 == 43 && action.payload.amount - 1 == 41",
        "action.payload.flag",
        "action.payload.flag == true",
        "action.payload.none == null",
        "action.payload.amount != null",
        "action.payload.name.startsWith('Ün') && action.payload.name.endsWith('\"')",
        "action.payload.name.contains(\"ïco\")",
        "action.payload.name.matches('^Ü.*q')",
        "matches(action.payload.name, 'code')",
        "size(action.payload.name) == 11",
        "action.payload.name.size() == 11",
        "size(action.payload.tags) == 3 && size(action.payload.nested) == 2 && size(action.payload.empty) == 0",
        "'a' in action.payload.tags && 3 in action.payload.tags && 3.0 in action.payload.tags",
        "!('c' in action.payload.tags)",
        "'amount' in action.payload && 'env' in action.metadata",
        "action.payload.amount in [1, 42]",
        "action.tenant in ['x', 'acme'] && action.namespace == 'shop'",
        "action.metadata.env == 'prod'",
        "action.metadata[\"a.b\"] == 'dotted'",
        "action.payload.nested[\"a.b\"] == 'dotted'",
        "action.payload.nested.a.b == 1",
        "action.payload.items[1].sku == 'y'",
        "action.payload.tags[0] == 'a'",
        "has(action.payload.amount) && has(action.payload.none) && !has(action.payload.missing)",
        "has(action.metadata.env) && !has(action.metadata.zone)",
        "!has(action.dedup_key) && has(action.id)",
        "action.dedup_key == null",
        "action.payload.items.exists(i, i.sku == 'y' && i.n > 4)",
        "action.payload.items.all(i, i.n > 1)",
        "action.payload.items.exists_one(i, i.sku == 'x')",
        "action.payload.items.filter(i, i.n > 2).size() == 1",
        "action.payload.items.map(i, i.n) == [2, 5]",
        "action.payload.items.map(i, i.n > 2, i.sku) == ['y']",
        "action.payload.nested.exists(key, key == 'a')",
        "action.payload.items.all(i, ['x', 'y'].exists(s, s == i.sku))",
        "action.payload.empty.all(i, i > 3) && !action.payload.empty.exists(i, true)",
        "action.payload.amount > 40 ? action.payload.flag : false",
        "[1, 2] + [3] == [1, 2, 3] && 'a' + 'b' == 'ab'",
        "{'a': 1, 'b': [2]} == {'b': [2.0], 'a': 1} && {'a': 1}.a == 1",
        "int('7') == 7 && int(7.9) == 7 && uint(7) == 7u && double('1.5') == 1.5 && string(7) == '7'",
        "time.hour == 22 && time.weekday == 'Thursday' && time.year == 2026",
        "now > 1000 && env.REGION == 'eu'",
        "action.created_at.startsWith('2026-')",
        // An error counts only if the other operand does not decide.
        "action.payload.missing == 1 || true",
        "true || action.payload.missing == 1",
        "!(action.payload.missing == 1 && false)",
        "[1, 2].exists(i, i == 2 || action.payload.missing)",
    ];
    for text in holds {
        says(text, Ok(true));
    }
}

#[test]
fn what_is_absent_or_of_another_type_is_an_error() {
    let missing = [
        "action.payload.missing == 1",
        "action.payload.missing != 1",
        "!(action.payload.missing == 1)",
        "action.payload.missing in [1]",
        "action.payload.missing.startsWith('a')",
        "action.metadata.zone == 'x'",
        "action.payload.nested.a.c == 1",
        "action.payload.missing || false",
        "has(action.payload.missing.deeper)",
        "[1, 2].all(i, i == action.payload.missing)",
        "action.payload.name.length == 1",
    ];
    for text in missing {
        says(text, Err(CelError::NoField));
    }
    says("action.payload.name > 5", Err(CelError::NoOverload("<")));
    says("action.payload.none > 5", Err(CelError::NoOverload("<")));
    says(
        "action.payload.amount + 'a' == 'a'",
        Err(CelError::NoOverload("+")),
    );
    says(
        "action.payload.amount + 0.5 > 1.0",
        Err(CelError::NoOverload("+")),
    );
    says(
        "size(action.payload.amount) > 0",
        Err(CelError::NoOverload("size")),
    );
    says("action.payload.amount", Err(CelError::NotBool));
    says("action.payload.amount && true", Err(CelError::NotBool));
    says("action.payload.tags[7] == 1", Err(CelError::NoItem));
    says(
        "action.payload.amount / 0 == 1",
        Err(CelError::DivisionByZero),
    );
    says(
        "9223372036854775807 + action.payload.amount > 0",
        Err(CelError::Overflow),
    );
    says("{'a': 1, 'a': 2}.a == 2", Err(CelError::RepeatedKey));
    says(
        "action.payload.amount.startsWith('4')",
        Err(CelError::NoOverload("startsWith")),
    );
    says("int('x') == 1", Err(CelError::NotConvertible("int")));
}

#[test]
fn a_string_is_a_condition_and_stands_in_trees_and_keys() {
    let rules = r#"
rules:
  - name: tree
    condition: { all: [{ field: action.tenant, eq: acme }, { cel: "size(action.payload.items) > 1" }] }
    action: { type: deduplicate, key: "action.payload.items[0] + '/' + action.tenant" }
"#;
    let set = crate::tests::set(rules);
    let decide = |payload: serde_json::Value| {
        set.decide(&action(payload), new_year(), &StateAnswers::default())
    };
    let crate::Effect::Deliver(plan) = decide(json!({"items": ["a", "b"]})).effect else {
        panic!("the action is delivered");
    };
    assert!(
        plan.gates.reservation.claims[0]
            .key
            .as_str()
            .ends_with("tree[\"a/acme\"]")
    );
    assert_eq!(decide(json!({"items": ["a"]})).matched_rule, None);
    // A key without a value is an error of the rule, and is counted.
    let fault = decide(json!({"items": [{}, 1]}));
    assert_eq!((fault.rule_errors, fault.matched_rule), (1, None));
}

#[test]
fn equality_on_indexed_fields_is_found_by_index() {
    let rules: String = (0..50)
        .map(|n| {
            format!("  - {{ name: r{n}, condition: \"action.tenant == 't{n}' && action.payload.amount > 1\", action: {{ type: deny }} }}\n")
        })
        .collect();
    let set: RuleSet = crate::tests::set(&format!("rules:\n{rules}"));
    let mut action = action(json!({"amount": 2}));
    assert_eq!(set.index.candidates(&action).count(), 0);
    action.tenant = "t7".into();
    assert_eq!(set.index.candidates(&action).count(), 1);
}

#[test]
fn state_functions_read_what_was_gathered_before() {
    let rules = r#"
rules:
  - name: inhibit
    condition: "has_active_event('cluster_down', action.metadata.env) && !event_in_state('f-' + action.tenant, 'closed') && get_event_state(action.payload.of) != 'acknowledged'"
    action: { type: suppress }
"#;
    let set = crate::tests::set(rules);
    let action = action(json!({"of": "f-1"}));
    let mut reads = set.ask(&action, new_year());
    assert_eq!(reads.len(), 3);
    let decide = |mock: serde_json::Value| {
        let gathered = StateAnswers::mocked(reads.clone(), &mock).unwrap();
        set.decide(&action, new_year(), &gathered)
            .matched_rule
            .is_some()
    };
    assert!(decide(json!({"cluster_down": ["prod"]})));
    assert!(!decide(json!({"cluster_down": ["test"]})));
    assert!(!decide(json!({"cluster_down": true, "f-acme": "closed"})));
    assert!(!decide(
        json!({"cluster_down": true, "f-1": "acknowledged"})
    ));
    reads.clear();
    let unknown = set.decide(&action, new_year(), &StateAnswers::new(reads, []));
    assert_eq!((unknown.rule_errors, unknown.matched_rule), (1, None));
    // A missing answer counts only if the other operand does not decide, evaluated or lowered.
    for known in [
        "(has_active_event('x') ? true : false) || action.tenant == 'acme'",
        "has_active_event('x') || action.tenant == 'acme'",
    ] {
        assert_eq!(lowered(known, &action), Ok(true), "{known}");
        assert_eq!(evaluated(known, &action), Ok(true), "{known}");
    }
}

#[test]
fn what_is_wrong_is_told_with_what_was_meant() {
    let texts = [
        "",
        "action.payload.a ==",
        "action.payload.a = 1",
        "action.payload.a & true",
        "action.tenant == 'a' and true",
        "action.tenant is 'a'",
        "action.tenant 'a'",
        "action.payload.a === 1",
        "(action.payload.a > 1",
        "action.payload.a > 'x",
        "acton.payload.a > 1",
        "payload.a > 1",
        "action.tenent == 'a'",
        "action == null",
        "time > 1",
        "env.REGIN == 'eu'",
        "action.metadata.a.b == 'x'",
        "action.payload.a.len() > 1",
        "contains(action.payload.a, 'x')",
        "action.payload.a.contains('x', 'y')",
        "action.payload.items.exists(i > 1)",
        "action.payload.items.exists(action, action > 1)",
        "has(action)",
        "size()",
        "b'bytes' == action.payload.a",
        "action.payload.a.matches('(')",
        "action.payload.a.matches(action.payload.b)",
        "Message{a: 1} == action.payload",
        "action.payload.?a == 1",
        "has_active_event() && true",
        "has_active_event(action.payload.items.map(i, i))",
        "[1].map(a, [1].map(b, [1].map(c, c))) == []",
        "1 + 1 +\n  action.payload.a + nothing > 1",
    ];
    let told = texts.map(|text| {
        let message = lowered(text, &action(json!({}))).expect_err(text);
        format!("{text}\n    {message}")
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_index_passes_over_no_rule_that_would_use_up_its_budget() {
    let endless = "action.payload.list.all(a, action.payload.list.all(b, a + b >= 0))";
    let rules = format!(
        "rules: [{{ name: r, on_error: deny, action: {{ type: allow }}, condition: \"{endless} && action.tenant == 'other'\" }}]"
    );
    let set = crate::tests::set(&rules);
    let list: Vec<_> = (0..2_000).collect();
    let action = action(json!({ "list": list }));
    let nothing = StateAnswers::default();
    let decided = set.decide(&action, new_year(), &nothing);
    let explained = set.decide_by_explaining(crate::tests::case(&action, &nothing));
    assert_eq!(decided, explained);
    assert_eq!(decided.rule_errors, 1);
}

#[test]
fn a_lowered_condition_fails_where_the_expression_does() {
    for text in [
        "time.hour.contains('2')",
        "!time.hour.contains('2')",
        "time.hour.matches('2')",
        "now.startsWith('1')",
        "!now.startsWith('1')",
    ] {
        let action = action(json!({}));
        assert!(evaluated(text, &action).is_err(), "{text}");
        assert!(lowered(text, &action).is_err(), "{text}, lowered");
    }
    let list: Vec<_> = (0..2_000).collect();
    let endless = "action.payload.list.all(a, action.payload.list.all(b, a + b >= 0))";
    let text = format!("{endless} || action.tenant == 'acme'");
    let action = action(json!({ "list": list }));
    assert_eq!(
        evaluated(&text, &action),
        Err(CelError::TooManySteps.to_string())
    );
    assert_eq!(
        lowered(&text, &action),
        Err(CelError::TooManySteps.to_string())
    );
}

#[test]
fn integers_beyond_64_bits_keep_their_digits_and_take_no_part_in_arithmetic() {
    let payload = r#"{"a":18446744073709551616,"b":18446744073709551617,"same":18446744073709551616.0,
        "list":[18446744073709551617],"huge":1e400,"round":1e30,"double":9007199254740993.0,"one":1}"#;
    let action = super::super::tests::raw_action(payload);
    let holds = [
        "action.payload.a != action.payload.b",
        "action.payload.a < action.payload.b && action.payload.b > 1 && action.payload.b > 1.5",
        "action.payload.a == action.payload.same",
        "action.payload.b in action.payload.list && !(action.payload.a in action.payload.list)",
        "string(action.payload.b) == '18446744073709551617'",
        "action.payload.huge > action.payload.round && action.payload.round == 1e30",
        "action.payload.round * 2.0 == 2e30 && action.payload.huge > 1e300",
        "action.payload.double == 9007199254740993 && int(action.payload.double) == 9007199254740993",
        "double(action.payload.a) == 18446744073709551616.0",
    ];
    for text in holds {
        assert_eq!(evaluated(text, &action), Ok(true), "{text}");
        assert_eq!(lowered(text, &action), Ok(true), "{text}, lowered");
    }
    let overflow = CelError::Overflow.to_string();
    for text in [
        "a + 1",
        "a - action.payload.b",
        "a * 2",
        "a / 2",
        "a % 2",
        "a * 2.0",
        "one + action.payload.a",
    ] {
        let text = format!("action.payload.{text} == 1");
        assert_eq!(evaluated(&text, &action), Err(overflow.clone()), "{text}");
    }
    assert_eq!(evaluated("-action.payload.a < 0", &action), Err(overflow));
    let refused = CelError::NotConvertible("int").to_string();
    assert_eq!(
        evaluated("int(action.payload.a) == 1", &action),
        Err(refused)
    );
}
