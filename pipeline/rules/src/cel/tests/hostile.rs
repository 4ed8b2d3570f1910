//! Hostile input: texts that try to evade the bounds or use them fully, values nested as deep as an expression allows,
//! payloads full of white space. All on a stack that is much smaller than the server's.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::{evaluated, lowered};
use crate::StateAnswers;
use crate::cel::value::{ITEM_BYTES, Value};
use crate::fault::{CEL_BYTES_MAX, CEL_STEPS_MAX, CelError};
use crate::tests::{action, new_year, raw_action};

const STACK_BYTES: usize = 256 * 1024;

fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

#[test]
fn nothing_hides_from_the_bounds_of_the_text() {
    let hidden = |inner: String| format!(r"r'\' + {inner} + 'a'");
    let texts = [
        vec!["[]"; 1_300].join("+"),
        vec!["{}"; 1_300].join("+"),
        hidden(vec!["1"; 1_900].join("+")),
        hidden("1?1:".repeat(900)),
        hidden("(".repeat(1_000)),
        format!("a{}", ".`b`".repeat(1_000)),
        format!("a{}", ".`.`".repeat(1_000)),
        format!("'''{}'''+{}", "'", vec!["1"; 1_900].join("+")),
        format!("true//\n{}", "&&!!true".repeat(500)),
        "é".repeat(2_000),
        format!("'{}", "\\".repeat(4_000)),
        format!("0x{}", "f".repeat(4_000)),
        format!("1e{}", "9".repeat(4_000)),
        format!("action.payload.{}", "ab.".repeat(1_000)),
    ];
    for text in texts {
        let shown: String = text.chars().take(40).collect();
        let refusal = on_a_small_stack(|| lowered(&text, &action(json!({}))));
        let message = refusal.expect_err(&shown);
        assert!(message.len() < 300, "{shown}: {message}");
    }
}

#[test]
fn texts_that_use_the_bounds_to_the_last_are_read_or_refused_and_freed() {
    let rows = [
        vec!["[]"; 480].join("+"),
        vec!["1"; 480].join("-"),
        format!("{}1", "-!".repeat(240)),
        format!("{}true", "true?true:".repeat(160)),
        format!("{}true{}", "(true?".repeat(31), ":true)".repeat(31)),
        format!("{}1{}", "(1+".repeat(31), ")".repeat(31)),
        format!("action.payload{}", ".a".repeat(490)),
        format!("action.payload{}", "[0]".repeat(240)),
        format!("{}1{}", "{1:[".repeat(16), "]}".repeat(16)),
        format!("{}1{}", "[1].map(a,".repeat(16), ")".repeat(16)),
        format!("{}1{}", "a.f(".repeat(32), ")".repeat(32)),
        format!("{}1{}", "[1,1?1:1-".repeat(32), "]".repeat(32)),
        format!("[1]{}", ".map(a,a)".repeat(100)),
    ];
    let action = action(json!({"a": {}}));
    on_a_small_stack(|| {
        for text in rows {
            let native = lowered(&text, &action);
            let plain = evaluated(&text, &action);
            assert_eq!(native.is_ok(), plain.is_ok(), "{text}");
        }
    });
}

#[test]
fn the_deepest_value_that_an_expression_can_make_is_compared_and_freed() {
    let deep = format!(r#"{{"deep": {}1{}}}"#, "[".repeat(60), "]".repeat(60));
    let action = raw_action(&deep);
    let nested = |depth: usize| {
        let open = "[".repeat(depth);
        let close = "]".repeat(depth);
        let text = format!("[{open}action.payload.deep{close}].all(d, d == d)");
        on_a_small_stack(|| evaluated(&text, &action))
    };
    assert_eq!(nested(25), Ok(true));
    let mut chain = "[action.payload.deep]".to_owned();
    for brackets in (1..28).map(|deepest| deepest.min(25)) {
        let open = "[".repeat(brackets);
        let close = "]".repeat(brackets);
        write!(chain, ".map(a,{open}a{close})").unwrap();
    }
    let text = format!("[{chain}].all(d, d == d)");
    let found = on_a_small_stack(|| evaluated(&text, &action));
    assert_eq!(found, Err(CelError::TooDeep.to_string()), "{text}");
}

#[test]
fn white_space_is_read_at_a_price() {
    let blank = " ".repeat(400_000);
    let short: Vec<_> = (0..2_000).map(|n| n.to_string()).collect();
    let payload = format!(
        r#"{{"short": [{}], "blank": [1,{blank}2{blank}]}}"#,
        short.join(",")
    );
    let action = raw_action(&payload);
    for looked_at in [
        "2 in action.payload.blank",
        "action.payload.blank.exists(b, b == 2)",
    ] {
        let text = format!("action.payload.short.all(s, {looked_at})");
        let ended = on_a_small_stack(|| evaluated(&text, &action));
        assert_eq!(ended, Err(CelError::TooManySteps.to_string()), "{text}");
    }
}

#[test]
fn the_expressions_of_a_rule_share_its_budget_and_the_next_rule_has_its_own() {
    let endless = "action.payload.list.all(a, action.payload.list.all(b, a + b >= 0))";
    let dear = "action.payload.list.all(a, a + a + a >= 0)";
    let many = vec![format!("{{ cel: \"{dear}\" }}"); 40].join(", ");
    let rules = format!(
        r#"
rules:
  - {{ name: endless, condition: "{endless}", action: {{ type: deny }} }}
  - {{ name: caught, condition: {{ any: [{{ cel: "{endless}" }}, {{ cel: "{dear}" }}] }}, action: {{ type: deny }} }}
  - {{ name: many, condition: {{ all: [{many}] }}, action: {{ type: deny }} }}
  - {{ name: one, condition: "{dear}", action: {{ type: deny, reason: "reached" }} }}
"#
    );
    let set = crate::tests::set(&rules);
    let list: Vec<_> = (0..1_000).collect();
    let decision = set.decide(
        &action(json!({ "list": list })),
        new_year(),
        &StateAnswers::default(),
    );
    assert_eq!(decision.matched_rule.as_deref(), Some("one"));
    assert_eq!(decision.rule_errors, 3);
}

#[test]
fn the_bounds_are_those_that_are_documented() {
    assert_eq!((CEL_STEPS_MAX, CEL_BYTES_MAX), (100_000, 1024 * 1024));
    assert!(size_of::<Value<'_>>() <= ITEM_BYTES);
}

/// Pieces of expressions, valid and broken.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "action",
        ".payload",
        ".a",
        "[0]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "'",
        "\"",
        "'''",
        "r'",
        "b\"",
        "\\",
        "`",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "?",
        ":",
        "==",
        "<",
        "in",
        "has(",
        ".map(a,",
        ".all(x,",
        ".exists(",
        "size(",
        "1",
        "0x",
        "1e",
        "1.",
        ".5",
        "2u",
        "null",
        "true",
        "as",
        "é",
        "😀",
        "\u{0}",
        "\n",
        "//",
        " ",
        ",",
        "@result",
        "time.hour",
        "now",
        "\\x41",
        "\\u00e9",
        "\\U0001F600",
        "{1:2}",
        "a.b.C{x:1}",
        "_?_:_",
        "[?1]",
        ".?a",
        "$",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(String::from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text_is_read_or_refused(pieces in prop::collection::vec(piece(), 0..30)) {
        let text = pieces.concat();
        let action = action(json!({"a": [1, {"a": "é"}], "x": 2}));
        let native = lowered(&text, &action);
        let plain = evaluated(&text, &action);
        prop_assert_eq!(native.is_ok(), plain.is_ok(), "{:?}", text);
    }
}
