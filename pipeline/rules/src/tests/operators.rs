//! Every operator against values of every kind.

use serde_json::{Value, json};

use super::{action, holds, new_year, raw_action, set};

/// Values of every kind.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(5),
        json!(5.0),
        json!(-3),
        json!(7.5),
        json!(""),
        json!("5"),
        json!("abc"),
        json!("b"),
        json!("Äpfel"),
        json!("zebra"),
        json!("😀"),
        json!([]),
        json!([5.0, "abc"]),
        json!([null, {"b": 1}]),
        json!({}),
        json!({"b": "abc"}),
    ]
}

/// Each operator, with the payload values it holds for; it must not hold for the other values.
fn rows() -> Vec<(&'static str, Value)> {
    vec![
        ("eq: 5", json!([5, 5.0])),
        ("eq: 5.0", json!([5, 5.0])),
        ("eq: '5'", json!(["5"])),
        ("eq: abc", json!(["abc"])),
        ("eq: true", json!([true])),
        ("eq: null", json!(["absent", null])),
        ("gt: 0", json!([5, 5.0, 7.5])),
        ("gte: 5", json!([5, 5.0, 7.5])),
        ("lt: 5.5", json!([0, 5, 5.0, -3])),
        ("lte: -3", json!([-3])),
        ("gt: abc", json!(["b", "Äpfel", "zebra", "😀"])),
        ("gte: z", json!(["Äpfel", "zebra", "😀"])),
        ("lt: a", json!(["", "5"])),
        ("lte: Ä", json!(["", "5", "abc", "b", "zebra"])),
        ("contains: b", json!(["abc", "b", "zebra"])),
        ("contains: abc", json!(["abc", [5.0, "abc"]])),
        ("contains: 5", json!([[5.0, "abc"]])),
        (
            "contains: ''",
            json!(["", "5", "abc", "b", "Äpfel", "zebra", "😀"]),
        ),
        ("starts_with: Ä", json!(["Äpfel"])),
        ("ends_with: bra", json!(["zebra"])),
        ("matches: '^.$'", json!(["5", "b", "😀"])),
        ("regex: '\\p{Lu}'", json!(["Äpfel"])),
        ("in: [5, abc, true]", json!([true, 5, 5.0, "abc"])),
        ("in_list: []", json!([])),
        ("exists: true", json!("all but null and absent")),
        ("exists: false", json!(["absent", null])),
    ]
}

#[test]
fn each_operator_holds_for_exactly_these_values() {
    for (operator, expected) in rows() {
        let condition = format!("{{field: action.payload.v, {operator}}}");
        let listed = |value: &Value| match &expected {
            Value::Array(list) => {
                list.contains(value)
                    || (value.is_number()
                        && list
                            .iter()
                            .any(|v| v.as_f64() == value.as_f64() && v.is_number()))
            }
            _ => *value != json!("absent") && !value.is_null(),
        };
        for value in &values() {
            let holds = holds(&condition, &action(json!({"v": value})));
            assert_eq!(holds, listed(value), "{operator} on {value}");
        }
        assert_eq!(
            holds(&condition, &action(json!({}))),
            listed(&json!("absent")),
            "{operator} on absent"
        );
    }
}

#[test]
fn ne_and_not_in_are_the_opposites_of_eq_and_in() {
    let values = [
        json!(null),
        json!(true),
        json!(5),
        json!(5.5),
        json!("abc"),
        json!([5]),
        json!({}),
    ];
    for value in values {
        let action = action(json!({"v": value}));
        for field in ["action.payload.v", "action.payload.absent"] {
            for literal in ["5", "5.5", "abc", "null", "true"] {
                let of =
                    |operator: String| holds(&format!("{{field: {field}, {operator}}}"), &action);
                assert_ne!(
                    of(format!("eq: {literal}")),
                    of(format!("ne: {literal}")),
                    "{literal} {value}"
                );
                let is_in = of(format!("in: [{literal}, other]"));
                assert_ne!(
                    is_in,
                    of(format!("not_in: [{literal}, other]")),
                    "{literal} {value}"
                );
            }
        }
    }
}

#[test]
fn numbers_keep_all_their_digits() {
    let rows = [
        ("18446744073709551615", "eq: 18446744073709551615", true),
        ("18446744073709551615", "eq: 18446744073709551614", false),
        ("9007199254740993", "gt: 9007199254740992.0", true),
        ("9007199254740993", "eq: 9007199254740992", false),
        ("-9223372036854775808", "lt: -9223372036854775807", true),
        ("1e2", "eq: 100", true),
        ("1E+2", "eq: 0x64", true),
        ("-0", "eq: 0", true),
        ("0.1", "eq: 0.1", true),
        ("1e999", "gt: 1", true),
    ];
    for (value, operator, expected) in rows {
        let action = raw_action(&format!("{{\"v\":{value}}}"));
        let condition = format!("{{field: action.payload.v, {operator}}}");
        assert_eq!(
            holds(&condition, &action),
            expected,
            "{operator} on {value}"
        );
    }
}

#[test]
fn escaped_text_is_compared_as_what_it_means() {
    let action = raw_action(r#"{"v":"a\"\u00e4\ud83d\ude00\\","\u006b":"\u0031"}"#);
    assert!(holds(
        r#"{field: action.payload.v, eq: "a\"ä😀\\"}"#,
        &action
    ));
    assert!(holds(
        r#"{field: action.payload.v, contains: ä😀, starts_with: 'a"'}"#,
        &action
    ));
    assert!(holds(r"{field: action.payload.k, eq: '1'}", &action));
    assert!(holds(
        r#"{field: action.payload.v, matches: 'ä\W'}"#,
        &action
    ));
}

#[test]
fn plain_patterns_mean_what_the_regular_expression_would() {
    for pattern in [
        "",
        "^",
        "$",
        "^$",
        "abc",
        "^abc",
        "abc$",
        "^abc$",
        "a.c",
        "^(?:abc)$",
        "a b",
        "ä",
    ] {
        let regex = regex::Regex::new(pattern).unwrap();
        for text in ["", "abc", "xabc", "abcx", "xabcx", "a b", "äbc", "abc\n"] {
            let condition = format!("{{field: action.payload.v, matches: '{pattern}'}}");
            let holds = holds(&condition, &action(json!({"v": text})));
            assert_eq!(holds, regex.is_match(text), "{pattern:?} on {text:?}");
        }
    }
}

#[test]
fn every_path_leads_to_its_value() {
    let mut action = action(json!({"list": [{"x": 1}, [2]], "a.b": {"0": "zero"}, "text": "t"}));
    action.dedup_key = Some("k".into());
    action.status = Some("open".into());
    action.starts_at = Some("2026-01-01T00:00:00Z".parse().unwrap());
    action.trace_context.insert("traceparent", "00-1");
    for condition in [
        "{field: action.id, eq: a-1}",
        "{field: action.namespace, eq: shop}",
        "{field: action.tenant, eq: acme}",
        "{field: action.provider, eq: mail}",
        "{field: action.action_type, matches: ^ord}",
        "{field: action.metadata.env, in: [stage, prod]}",
        "{field: 'action.metadata.\"a.b\"', eq: dotted}",
        "{field: action.metadata, exists: true}",
        "{field: action.trace_context.traceparent, eq: 00-1}",
        "{field: action.dedup_key, eq: k}",
        "{field: action.status, eq: open}",
        "{field: action.fingerprint, eq: null}",
        "{field: action.starts_at, eq: '2026-01-01T00:00:00Z'}",
        "{field: action.ends_at, exists: false}",
        "{field: action.created_at, starts_with: '2026-01-01T22:30'}",
        "{field: action.payload.list.0.x, eq: 1}",
        "{field: action.payload.list.1.0, eq: 2}",
        "{field: action.payload.list.2, exists: false}",
        "{field: action.payload.list.x, exists: false}",
        "{field: action.payload.text.x, exists: false}",
        "{field: 'action.payload.\"a.b\".0', eq: zero}",
        "{field: action.payload, exists: true}",
        "{field: now, eq: 1767306615}",
    ] {
        assert!(holds(condition, &action), "{condition}");
    }
}

#[test]
fn a_payload_that_is_no_object_is_seen_too() {
    assert!(holds(
        "{field: action.payload, eq: 'a\"b'}",
        &action(json!("a\"b"))
    ));
    assert!(holds("{field: action.payload, gt: 41}", &raw_action("42")));
    assert!(holds(
        "{field: action.payload.1, eq: x}",
        &raw_action(" [ 1 , \"x\" ] ")
    ));
    assert!(holds(
        "{field: action.payload, eq: null}",
        &raw_action("null")
    ));
}

#[test]
fn time_is_that_of_the_zone_of_the_rule() {
    let utc = [
        "{field: time.hour, eq: 22}",
        "{field: time.minute, eq: 30}",
        "{field: time.second, eq: 15}",
        "{field: time.day, eq: 1}",
        "{field: time.month, eq: 1}",
        "{field: time.year, eq: 2026}",
        "{field: time.weekday, eq: Thursday}",
        "{field: time.weekday_num, eq: 4}",
        "{field: time.timestamp, eq: 1767306615}",
    ];
    for condition in utc {
        assert!(holds(condition, &action(json!({}))), "{condition}");
    }
    let tokyo = set(
        "rules: [{name: r, timezone: Asia/Tokyo, action: {type: deny}, condition: {all: [{field: time.hour, eq: 7}, {field: time.weekday, eq: Friday}]}}]",
    );
    assert!(
        tokyo
            .decide(
                &action(json!({})),
                new_year(),
                &crate::StateAnswers::default()
            )
            .matched_rule
            .is_some()
    );
}

#[test]
fn conditions_nest_and_stand_side_by_side() {
    let action = action(json!({"n": 3}));
    let rows = [
        ("{all: []}", true),
        ("{any: []}", false),
        ("{not: {any: []}}", true),
        ("{all: [], any: []}", false),
        (
            "{all: [{field: action.payload.n, gt: 1, lt: 5}], any: [{field: action.tenant, eq: acme}]}",
            true,
        ),
        ("{all: [{field: action.payload.n, gt: 1, lt: 3}]}", false),
        (
            "{field: action.payload.n, eq: 3, not: {field: action.tenant, eq: acme}}",
            false,
        ),
        (
            "{any: [{all: [{any: []}]}, {not: {not: {field: action.payload.n, eq: 3}}}]}",
            true,
        ),
    ];
    for (condition, expected) in rows {
        assert_eq!(holds(condition, &action), expected, "{condition}");
    }
}

#[test]
fn integers_of_any_length_are_compared_with_all_their_digits() {
    let rows = [
        ("eq: 99999999999999999999", "99999999999999999999", true),
        ("eq: 99999999999999999999", "99999999999999999999.0", true),
        ("eq: 99999999999999999999", "99999999999999999998", false),
        ("eq: 99999999999999999999", "1e20", false),
        ("ne: 99999999999999999999", "99999999999999999998", true),
        (
            "in: [340282366920938463463374607431768211455]",
            "340282366920938463463374607431768211454",
            false,
        ),
        (
            "in: [340282366920938463463374607431768211455]",
            "340282366920938463463374607431768211455",
            true,
        ),
        ("gt: 99999999999999999998", "99999999999999999999", true),
        ("gt: 99999999999999999998", "99999999999999999998", false),
        ("lt: -99999999999999999998", "-99999999999999999999", true),
        (
            "contains: 99999999999999999999",
            "[99999999999999999998]",
            false,
        ),
        (
            "contains: 99999999999999999999",
            "[99999999999999999999]",
            true,
        ),
    ];
    for (operator, value, expected) in rows {
        let condition = format!("{{field: action.payload.v, {operator}}}");
        let action = raw_action(&format!("{{\"v\":{value}}}"));
        assert_eq!(
            holds(&condition, &action),
            expected,
            "{operator} for {value}"
        );
    }
}

#[test]
fn a_number_that_a_rule_writes_keeps_its_digits() {
    let text = "rules: [{name: r, condition: {all: []}, action: {type: modify, changes: {id: 99999999999999999999}}}]";
    let decision = super::decide(text, &raw_action("{}"));
    let crate::Effect::Deliver(plan) = decision.effect else {
        panic!("{:?}", decision.effect);
    };
    let payload = plan.payload.unwrap();
    assert_eq!(&payload.as_bytes()[..], br#"{"id":99999999999999999999}"#);
    let yaml = text.replace("99999999999999999999", "0099999999999999999999");
    let problems = super::compile(&yaml).unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .contains("write this number as in JSON")
    );
}
