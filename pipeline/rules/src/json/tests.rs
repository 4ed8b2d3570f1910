//! Compares the scanner with a parser that builds a tree.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn get<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let value = ObjectIndex::default().get(object.as_bytes(), key.as_bytes())?;
    Some(std::str::from_utf8(value).unwrap())
}

#[test]
fn members_are_found_among_nested_values_spaces_and_escapes() {
    let object =
        r#" { "a" : {"b": "}\"]{"} , "\u0062\n":[1, {"x":[]}] ,"c":-1.5e3, "d":"" }"#.trim();
    assert_eq!(get(object, "a"), Some(r#"{"b": "}\"]{"}"#));
    assert_eq!(get(object, "b\n"), Some(r#"[1, {"x":[]}]"#));
    assert_eq!(get(object, "c"), Some("-1.5e3"));
    assert_eq!(get(object, "d"), Some("\"\""));
    assert_eq!(get(object, "b"), None);
    assert_eq!(get("{}", "b"), None);
}

#[test]
fn the_last_of_two_equal_keys_counts_in_small_and_large_objects() {
    assert_eq!(get(r#"{"a":1,"b":2,"a":3}"#, "a"), Some("3"));
    let mut large = String::from("{");
    for i in 0..100 {
        large.push_str(&format!("\"k{}\":{i},", i % 50));
    }
    large.push_str("\"z\":0}");
    assert_eq!(get(&large, "k7"), Some("57"));
    assert_eq!(get(&large, "k70"), None);
}

#[test]
fn more_objects_than_are_remembered_are_still_read_right() {
    let object = format!(
        "{{{}}}",
        (0..30)
            .map(|i| format!("\"o{i}\":{{\"x\":{i}}}"))
            .collect::<Vec<_>>()
            .join(",")
    );
    let mut members = ObjectIndex::default();
    for i in (0..30).chain(0..30) {
        let inner = members
            .get(object.as_bytes(), format!("o{i}").as_bytes())
            .unwrap();
        assert_eq!(members.get(inner, b"x"), Some(i.to_string().as_bytes()));
    }
}

#[test]
fn escapes_are_resolved_and_broken_pairs_replaced() {
    let resolved = |raw: &str| String::from_utf8(unescaped(raw.as_bytes()).into_owned()).unwrap();
    assert_eq!(
        resolved(r#"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00x"#),
        "\"\\/\u{8}\u{c}\n\r\t\u{e4}\u{1f600}x"
    );
    assert_eq!(resolved(r"\ud83dx"), "\u{fffd}x");
    assert_eq!(resolved(r"\ude00\u0041"), "\u{fffd}A");
    assert_eq!(resolved(r"\ud83d\ud83d\ude00"), "\u{fffd}\u{1f600}");
}

#[test]
fn sorted_text_is_the_same_for_the_same_meaning() {
    let sorted = |text: &str| {
        let mut out = Vec::new();
        write_sorted(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    };
    let text =
        r#"{ "b" : [ 1e2, 12345678901234567890123 ], "\u0061": "\u00e4", "b" : [ 1.50 , {} ] }"#;
    assert_eq!(sorted(text), r#"{"a":"ä","b":[1.50,{}]}"#);
    assert_eq!(sorted("12345678901234567890123"), "12345678901234567890123");
}

#[test]
fn depth_counts_nesting_and_not_the_brackets_in_strings() {
    for (text, expected) in [
        ("1", 0),
        ("[]", 1),
        (r#"{"[[[":"{{"}"#, 1),
        ("[[],[[{}]]]", 4),
    ] {
        assert_eq!(depth(text.as_bytes()), expected, "{text}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..40)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_member_and_item_is_the_one_a_parser_finds(value in any_value(), pretty in any::<bool>()) {
        let value = json!({"it": value});
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        same(&value, text.as_bytes(), &mut ObjectIndex::default());
    }

    #[test]
    fn text_that_is_not_json_is_survived(text in "[\\[\\]{}\",:\\\\ua0 ]{0,40}") {
        let _ = ObjectIndex::default().get(text.as_bytes(), b"a");
        let _ = items(text.as_bytes()).count();
        let _ = unescaped(text.as_bytes());
        let _ = depth(text.as_bytes());
        write_sorted(text.as_bytes(), &mut Vec::new());
    }
}

fn same<'a>(value: &Value, text: &'a [u8], members: &mut ObjectIndex<'a>) {
    let mut sorted = Vec::new();
    write_sorted(text, &mut sorted);
    let mut expected = value.clone();
    expected.sort_all_objects();
    assert_eq!(String::from_utf8(sorted).unwrap(), expected.to_string());
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                same(inner, members.get(text, key.as_bytes()).unwrap(), members);
            }
        }
        Value::Array(list) => {
            let found: Vec<_> = items(text).collect();
            assert_eq!(found.len(), list.len());
            for (inner, text) in list.iter().zip(found) {
                same(inner, text, members);
            }
        }
        _ => {}
    }
}
