//! The reader accepts what a whole parser accepts, and nothing else.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const DEEP: usize = 64;

fn accepted(text: &str) -> bool {
    let mut reader = JsonReader::new(text, DEEP).with(Numbers::InRange);
    reader.value().is_ok() && reader.end().is_ok()
}

fn whole_parser_accepts(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

#[test]
fn what_json_is_and_is_not_is_told_apart() {
    let fine = [
        "0",
        "-0",
        "-1.5e+30",
        "1E5",
        "true",
        "null",
        "\"\"",
        "[]",
        "{}",
        " [ 1 , [ ] ] ",
        r#"{"a":{"":"\u00e9\n\"\\"},"a":[false]}"#,
        "\"\u{7f}\u{e9}\"",
    ];
    for text in fine {
        assert!(accepted(text) && whole_parser_accepts(text), "{text}");
    }
    let broken = [
        "",
        " ",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "tru",
        "nulls",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "\"\u{1f}\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "[1 2]",
        "[1}",
        "1 2",
        "\u{feff}1",
        "\"\\",
    ];
    for text in broken {
        assert!(!accepted(text) && !whole_parser_accepts(text), "{text}");
    }
}

#[test]
fn lists_and_objects_may_be_nested_so_deep_and_no_deeper() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(accepted(&nested(DEEP)));
    assert!(!accepted(&nested(DEEP + 1)));
    let beside = format!("[{}]", vec![nested(DEEP - 1); 9].join(","));
    assert!(accepted(&beside));
}

#[test]
fn strings_end_at_their_quote_wherever_it_stands() {
    for length in 0..70 {
        let plain = "x".repeat(length);
        let text = format!("\"{plain}\" ");
        assert_eq!(JsonReader::new(&text, DEEP).string().unwrap(), plain);
        let escaped = format!("\"{plain}\\n{plain}\"");
        let expected = format!("{plain}\n{plain}");
        assert_eq!(JsonReader::new(&escaped, DEEP).string().unwrap(), expected);
        assert!(!accepted(&format!("\"{plain}\u{1}{plain}\"")));
    }
}

#[test]
fn members_are_told_of_objects_that_are_plain_and_not_large() {
    let noted = |text: &str| {
        let (json, members) = JsonReader::new(text, DEEP).value_and_members().unwrap();
        assert_eq!(json, text.trim());
        let texts = |member: &MemberSpan| {
            let part =
                |span: TextRange| std::str::from_utf8(span.of(json.as_bytes()).unwrap()).unwrap();
            (part(member.key).to_owned(), part(member.value).to_owned())
        };
        members.map(|members| members.iter().map(texts).collect::<Vec<_>>())
    };
    let text = " { \"a\" : [1, {\"b\": 2}] , \"\":\"x\", \"a\" :null } ";
    let expected = [("a", "[1, {\"b\": 2}]"), ("", "\"x\""), ("a", "null")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(noted(text).unwrap(), expected);
    assert_eq!(noted("{}"), Some(Vec::new()));
    assert_eq!(noted("[{}]"), None);
    assert_eq!(noted(r#"{"\u0061":1}"#), None);
    let object = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!("\"k{at}\":{at}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(noted(&object(MEMBERS_MAX)).unwrap().len(), MEMBERS_MAX);
    assert_eq!(noted(&object(MEMBERS_MAX + 1)), None);
}

#[test]
fn half_a_pair_and_numbers_beyond_all_doubles_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        r#""\udfff""#,
        "1e309",
        "-1E400",
    ] {
        assert!(!accepted(text) && !whole_parser_accepts(text), "{text}");
    }
    for text in [r#""\ud83d\uDE00""#, "1e308", "1e-999", "0e999"] {
        assert!(accepted(text) && whole_parser_accepts(text), "{text}");
    }
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"([a-z ]|\\\\u[0-9a-cA-CefEF][0-9a-fA-F]{3}|\\\\uD83d\\\\uDe00|\\\\[\"\\\\/bfnrt]){0,40}\"",
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let key = any::<String>().prop_map(|key| serde_json::to_string(&key).unwrap());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((key, inner), 0..6).prop_map(|members| {
                let members = members.iter().map(|(key, value)| format!("{key} :{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(",\n"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn all_json_is_accepted_and_left_as_it_is(json in any_json()) {
        let text = format!("\t{json} ");
        prop_assert!(whole_parser_accepts(&json));
        prop_assert!(accepted(&text));
        prop_assert_eq!(JsonReader::new(&text, DEEP).value().unwrap(), json);
    }

    #[test]
    fn what_is_broken_by_one_sign_is_accepted_where_a_whole_parser_accepts_it(
        json in any_json(),
        at in any::<prop::sample::Index>(),
        sign in prop::sample::select(" \"\\{}[]:,0-e.tnu\u{1}\u{e9}".chars().collect::<Vec<_>>()),
        replaced in any::<bool>(),
    ) {
        let mut signs: Vec<char> = json.chars().collect();
        let at = at.index(signs.len());
        if replaced {
            signs[at] = sign;
        } else {
            signs.insert(at, sign);
        }
        let broken: String = signs.into_iter().collect();
        prop_assert_eq!(accepted(&broken), whole_parser_accepts(&broken), "{}", broken);
    }
}
