//! Random expressions over random payloads: the native form agrees with evaluation, and evaluation agrees with the
//! `cel` crate. A failing case is printed with its seed.

use cel::objects::{Key, Map};
use cel::{Context, Program, Value as CelValue};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

use super::{evaluated, lowered};
use crate::tests::action;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        prop::sample::select(vec![0.5, -1.5, 2.0, 3.0]).prop_map(Value::from),
        prop::sample::select(vec!["a", "b", "ab", "", "ä", "😀"]).prop_map(Value::from),
    ]
}

fn payload() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        3 => scalar(),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::from),
        1 => scalar().prop_map(|v| json!({"a": v})),
    ];
    prop::collection::hash_map(prop::sample::select(vec!["a", "b", "c"]), value, 0..4).prop_map(
        |map| {
            map.into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()
        },
    )
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "action.payload.a",
        "action.payload.b",
        "action.payload.c",
        "action.payload.a.a",
    ])
    .prop_map(String::from)
}

fn literal() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "null", "true", "false", "0", "1", "-2", "2.0", "0.5", "'a'", "'ab'", "''", "'ä'",
        "[1, 'a']",
    ])
    .prop_map(String::from)
}

fn operand() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![3 => path(), 2 => literal()];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*"]),
                inner.clone()
            )
                .prop_map(|(a, sign, b)| format!("({a} {sign} {b})")),
            inner.clone().prop_map(|a| format!("size({a})")),
            inner.prop_map(|a| format!("[{a}, 1]")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let signs = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let functions = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
    let leaf = prop_oneof![
        4 => (path(), signs.clone(), literal()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        2 => (operand(), signs, operand()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        2 => (path(), functions, prop::sample::select(vec!["'a'", "''", "'ä'", "1"]))
            .prop_map(|(a, name, b)| format!("{a}.{name}({b})")),
        1 => path().prop_map(|a| format!("{a} in [1, 'a', true, null, 2.0]")),
        1 => (literal(), path()).prop_map(|(a, b)| format!("{a} in {b}")),
        1 => path().prop_map(|a| format!("has({a})")),
        1 => path(),
        1 => (path(), literal()).prop_map(|(a, b)| format!("{a}.exists(i, i == {b})")),
        1 => (path(), literal()).prop_map(|(a, b)| format!("{a}.all(i, i != {b})")),
        1 => (path(), literal()).prop_map(|(a, b)| format!("{a}.filter(i, i == {b}).size() > 0")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (
                inner.clone(),
                prop::sample::select(vec!["&&", "||"]),
                inner.clone()
            )
                .prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
}

/// The payload as a value of the `cel` crate, with integers as integers.
fn crate_value(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => CelValue::Int(whole),
            None => CelValue::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(crate_value).collect())),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| (Key::String(Arc::new(key.clone())), crate_value(value)));
            let map: HashMap<Key, CelValue> = members.collect();
            CelValue::Map(Map { map: Arc::new(map) })
        }
    }
}

/// The result of the `cel` crate.
fn by_the_crate(text: &str, payload: &Value) -> Result<bool, ()> {
    let mut context = Context::default();
    let action = crate_value(&json!({ "payload": payload }));
    context.add_variable_from_value("action", action);
    let program = Program::compile(text).map_err(|_| ())?;
    match program.execute(&context) {
        Ok(CelValue::Bool(holds)) => Ok(holds),
        _ => Err(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_native_form_says_what_evaluation_says(text in condition(), payload in payload()) {
        let action = action(payload);
        let native = lowered(&text, &action);
        let plain = evaluated(&text, &action);
        prop_assert_eq!(native.clone().map_err(|_| ()), plain.clone().map_err(|_| ()), "{}: {:?} {:?}", text, native, plain);
        prop_assert_eq!(plain, evaluated(&text, &action));
    }

    #[test]
    fn evaluation_says_what_the_evaluator_of_the_crate_says(text in condition(), payload in payload()) {
        // The crate has one extension to CEL: a list plus a map is the list and the keys.
        prop_assume!(!(text.contains(" + ") && payload.as_object().unwrap().values().any(Value::is_object)));
        let found = evaluated(&text, &action(payload.clone()));
        let expected = by_the_crate(&text, &payload);
        prop_assert_eq!(found.clone().map_err(|_| ()), expected, "{}: {:?}", text, found);
    }
}
