//! Keys of dedup and throttle rules are the same exactly if their values are equal as rules compare them. A failing
//! case is printed with its seed.

use acteon_core::state::StateKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{StateAnswers, holds, new_year, raw_action, set};
use crate::{Effect, RuleSet};

/// A dedup and a throttle rule with the same key.
fn keyed(key: &str) -> RuleSet {
    let rule = |name: &str, action: &str| {
        format!(
            "  - {{ name: {name}, continue: true, condition: {{ all: [] }}, action: {{ {action}, key: {key} }} }}\n"
        )
    };
    let dedup = rule("d", "type: dedup");
    let throttle = rule("t", "type: throttle, max_count: 1, window_seconds: 1");
    set(&format!("rules:\n{dedup}{throttle}"))
}

/// The keys of the dedup and the throttle rule, if they could be computed.
fn keys(set: &RuleSet, payload: &str) -> [Option<StateKey>; 2] {
    let decision = set.decide(&raw_action(payload), new_year(), &StateAnswers::default());
    let Effect::Deliver(plan) = decision.effect else {
        panic!("{:?}", decision.effect);
    };
    let reservation = plan.gates.reservation;
    let claim = reservation.claims.first().map(|claim| claim.key.clone());
    let quota = reservation.quotas.first().map(|quota| quota.key.clone());
    [claim, quota]
}

fn of(value: &str) -> String {
    format!("{{\"v\":{value}}}")
}

#[test]
fn values_that_are_equal_make_one_key_and_others_do_not() {
    let classes: [&[&str]; 33] = [
        &["7", "7.0", "70e-1", "0.7e1"],
        &["\"7\"", "\"\\u0037\""],
        &["0", "-0", "0.0", "-0.0", "0e5", "1e-400"],
        &["true"],
        &["\"true\""],
        &["\"null\""],
        &["\"\""],
        &["[]", " [ ] "],
        &["\"[]\""],
        &["[null]"],
        &["[\"l\"]"],
        &["\"[\\\"l\\\"]\"", "\"[\\u0022l\\u0022]\""],
        &["[[\"l\"]]"],
        &["[1,2]", "[1.0, 2e0]"],
        &["[2,1]"],
        &["9007199254740993", "9007199254740993.0"],
        &[
            "9007199254740992",
            "9007199254740992.0",
            "9.007199254740992e15",
        ],
        &["18446744073709551615"],
        &["18446744073709551616", "18446744073709551616.0"],
        &["18446744073709551617"],
        &["18446744073709552000", "1.8446744073709552e19"],
        &["-18446744073709551617"],
        &["123456789012345678901234567890"],
        &["123456789012345678901234567891"],
        &["9007199254740993.5"],
        &["1e400", "10e399"],
        &["2e400"],
        &["-9223372036854775808", "-9.223372036854775808e18"],
        &["0.1", "1e-1", "0.10000000000000001"],
        &[
            "{\"a\":1,\"b\":[true]}",
            "{ \"b\": [ true ], \"a\": 1.0 }",
            "{\"a\":9,\"\\u0062\":[true],\"a\":1}",
        ],
        &["{\"a\":\"1\",\"b\":[true]}"],
        &["{}"],
        &["{\"a\":null}"],
    ];
    let sets = [keyed("[payload.v]"), keyed("action.payload.v")];
    for (at, class) in classes.iter().enumerate() {
        let first = keys(&sets[0], &of(class[0]));
        assert!(first.iter().all(Option::is_some));
        for value in *class {
            for set in &sets {
                assert_eq!(keys(set, &of(value)), first, "{value}");
            }
        }
        for other in &classes[at + 1..] {
            for (key, other_key) in first.iter().zip(keys(&sets[0], &of(other[0]))) {
                assert_ne!(*key, other_key, "{} and {}", class[0], other[0]);
            }
        }
    }
}

#[test]
fn values_do_not_run_into_each_other_and_null_is_as_absent() {
    let pair = keyed("[payload.a, payload.b]");
    let payloads = [
        r#"{"a":"x,y"}"#,
        r#"{"a":"x","b":"y"}"#,
        r#"{"a":["x","y"]}"#,
        r#"{"b":"x,y"}"#,
        r#"{"a":"x\",\"y","b":"z"}"#,
        r#"{"a":"x","b":"y\",\"z"}"#,
    ];
    let all: std::collections::HashSet<_> = payloads.map(|p| keys(&pair, p)).into();
    assert_eq!(all.len(), payloads.len());
    assert_eq!(
        keys(&pair, r#"{"a":1,"b":null}"#),
        keys(&pair, r#"{"a":1}"#)
    );
    let single = [keyed("[payload.v]"), keyed("action.payload.v")];
    let [own, shared] = keys(&single[0], "{}");
    assert!(own.unwrap().as_str().ends_with("id=a-1"));
    for set in &single {
        let [claim, quota] = keys(set, &of("null"));
        assert!(claim.unwrap().as_str().ends_with("id=a-1"));
        assert_eq!(quota, shared);
    }
}

#[test]
fn no_value_makes_the_key_of_a_long_one_or_of_an_action_without_any() {
    let set = keyed("action.payload.v");
    let long = keys(&set, &of(&json!("x".repeat(300)).to_string()))[0].clone();
    let long = long.unwrap().as_str().to_owned();
    let name = &long[long.len() - 71..];
    assert!(name.starts_with("sha256="), "{long}");
    for text in [name, &name[7..], "id=a-1", "tenant=acme"] {
        for key in keys(&set, &of(&json!(text).to_string())) {
            let ending = format!("[\"{text}\"]");
            assert!(key.unwrap().as_str().ends_with(&ending));
        }
    }
}

#[test]
fn an_expression_that_makes_lists_and_maps_is_a_key_too() {
    let made = |key: &str, payload: &str| keys(&keyed(key), payload)[0].clone();
    let listed = made("[payload.v]", r#"{"v":[1,{"b":"x","a":null}]}"#);
    let expression = "\"[action.payload.n, {'a': null, 'b': action.payload.t}]\"";
    assert_eq!(made(expression, r#"{"n":1.0,"t":"x"}"#), listed);
    let labels = keyed("[metadata]");
    assert_eq!(keys(&labels, "1"), keys(&keyed("action.metadata"), "1"));
    let numbered = |map: &str| made(&format!("\"{map}\""), "1").unwrap();
    assert_ne!(numbered("{1: 'a'}"), numbered("{'1': 'a'}"));
    assert_eq!(numbered("{1: 'a', 'x': 2}"), numbered("{'x': 2u, 1u: 'a'}"));
    assert_eq!(made("\"0.0 / 0.0\"", "1"), None);
    assert_eq!(made("\"[0.0 / 0.0]\"", "1"), None);
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (-3i64..3).prop_map(|n| n.to_string()),
        (-3i64..3).prop_map(|n| format!("{n}.0")),
        (-3i64..3).prop_map(|n| format!("{n}e0")),
        (-3i64..3, 0..3).prop_map(|(n, d)| format!("{n}.{d}")),
        prop::sample::select(vec![
            "-0",
            "-0.0",
            "9007199254740992",
            "9007199254740993",
            "9007199254740992.0",
            "9223372036854775807",
            "9223372036854775808",
            "9223372036854775808.0",
            "-9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "18446744073709551616.0",
            "1e19",
            "10000000000000000000",
            "1e300",
            "10e299",
            "1e-7",
            "0.0000001",
        ])
        .prop_map(String::from),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |f| f.is_finite())
            .prop_map(|f| json!(f).to_string()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""""#,
        r#""1""#,
        r#""\u0031""#,
        r#""true""#,
        r#""null""#,
        r#""a""#,
        r#""a\"b""#,
        r#""[1]""#,
        r#""{\"a\":1}""#,
        r#""\ud83d\ude00""#,
        r#""😀""#,
        r#"",""#,
    ])
    .prop_map(String::from)
}

/// JSON text of few values, many of them equal but written differently.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        3 => number(),
        3 => text(),
        1 => prop::sample::select(vec!["null", "true", "false"]).prop_map(String::from),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        let name = prop::sample::select(vec!["\"a\"", "\"b\"", "\"\\u0061\"", "\"1\""]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((name, inner), 0..3).prop_map(|members| {
                let members = members
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// A pair of values; half of the pairs are nearly equal.
fn values() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        (value(), value()),
        (number(), number()),
        value().prop_map(|value| (value.clone(), value)),
        value().prop_map(|value| {
            let parsed: Value = value.parse().unwrap();
            (value, parsed.to_string())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn keys_are_equal_exactly_when_all_their_values_are(pairs in prop::collection::vec(values(), 1..3)) {
        let payload = |pick: fn(&(String, String)) -> &String| {
            let members = pairs.iter().enumerate();
            let members = members.map(|(at, pair)| format!("\"v{at}\":{}", pick(pair)));
            format!("{{\"v\":1,{}}}", members.collect::<Vec<_>>().join(","))
        };
        let left = payload(|pair| &pair.0);
        let right = payload(|pair| &pair.1);
        let equal = pairs.iter().all(|(a, b)| {
            let both = raw_action(&format!("{{\"a\":{a},\"b\":{b}}}"));
            holds("action.payload.a == action.payload.b", &both)
        });
        let paths: Vec<_> = (0..pairs.len()).map(|at| format!("payload.v{at}")).collect();
        let paths = keyed(&format!("[payload.v, {}]", paths.join(", ")));
        for (a, b) in keys(&paths, &left).iter().zip(&keys(&paths, &right)) {
            prop_assert_eq!(a == b, equal, "{:?} and {:?}", a, b);
        }
        let path = keyed("[payload.v0]");
        let expression = keyed("action.payload.v0");
        prop_assert_eq!(keys(&path, &left), keys(&expression, &left));
    }

    #[test]
    fn two_scalars_make_one_key_exactly_when_a_rule_finds_them_equal(a in prop_oneof![number(), text()], b in prop_oneof![number(), text()]) {
        let set = keyed("[payload.v]");
        let condition = format!("{{ field: action.payload.v, eq: {b} }}");
        let equal = holds(&condition, &raw_action(&of(&a)));
        prop_assert_eq!(keys(&set, &of(&a)) == keys(&set, &of(&b)), equal);
    }
}
