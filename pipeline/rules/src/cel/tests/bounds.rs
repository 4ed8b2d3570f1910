//! No expression can exhaust the process: not by its text, its tree, or its evaluation.

use acteon_core::Action;
use serde_json::json;

use super::{evaluated, lowered};
use crate::fault::CelError;
use crate::tests::action;

/// An eighth of a server thread's stack.
const STACK_BYTES: usize = 256 * 1024;

/// Runs on a small stack.
fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, work).unwrap();
        running.join().unwrap()
    })
}

fn refused(text: &str) -> String {
    on_a_small_stack(|| {
        let refusal = lowered(text, &action(json!({})));
        refusal.expect_err("it is refused")
    })
}

#[test]
fn texts_that_would_go_too_deep_are_refused_at_load() {
    let shapes = [
        vec!["1"; 32_768].join("+"),
        format!("action.payload{}", ".b".repeat(32_768)),
        vec!["1"; 2_000].join("+"),
        format!("action.payload{}", ".b".repeat(2_000)),
        format!("action.payload{}", ".b".repeat(400)),
        format!("action.payload{}", "[0]".repeat(1_000)),
        format!("action.payload{}", "[0]".repeat(300)),
        "(".repeat(4_000),
        format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000)),
        format!("{}1{}", "[".repeat(400), "]".repeat(400)),
        format!("{}1{}", "{1:".repeat(400), "}".repeat(400)),
        format!("{}true", "!".repeat(4_000)),
        format!("{}1 > 0", "- ".repeat(2_000)),
        format!("{}false", "true ? true : ".repeat(290)),
        format!("{}true{}", "true ? ".repeat(160), " : false".repeat(160)),
        format!("'{}'", "a".repeat(5_000)),
        "[1].map(a, [1].map(b, [1].map(c, c))) == []".to_owned(),
        format!("[{}] == []", vec!["1"; 499].join(",")),
        vec!["action.payload.a"; 200].join(" == "),
        "a".repeat(4_096),
        "\"".to_owned(),
        "'''".to_owned(),
        format!("action.payload.a{}", ".b()".repeat(490)),
        format!("{}1", "1?1:".repeat(166)),
        format!("[1]{}", "[[]]".repeat(240)),
        "?".repeat(4_096),
        "&&".repeat(2_048),
    ];
    for text in shapes {
        let message = refused(&text);
        assert!(message.len() < 300, "{message}");
    }
}

#[test]
fn signs_in_a_row_are_read_or_refused() {
    on_a_small_stack(|| {
        for text in [
            format!("{}true", "!".repeat(450)),
            format!("{}1 > 0", "-".repeat(450)),
        ] {
            let _ = lowered(&text, &action(json!({})));
        }
    });
}

#[test]
fn long_rows_of_and_and_or_are_read() {
    on_a_small_stack(|| {
        for sign in ["&&", "||"] {
            let row: Vec<_> = (0..90)
                .map(|n| format!("action.payload.a == {n}"))
                .collect();
            let found = lowered(&row.join(sign), &action(json!({"a": 89})));
            assert_eq!(found, Ok(sign == "||"));
        }
    });
}

#[test]
fn a_regular_expression_is_bounded_and_written_in_the_rule() {
    let huge = refused("action.payload.a.matches('(((a{100}){100}){100})')");
    assert!(huge.contains("takes more than"), "{huge}");
    let open = refused("action.payload.a.matches('(')");
    assert!(open.contains("regular expression is wrong"), "{open}");
    let computed = refused("action.payload.a.matches(action.payload.b)");
    assert!(computed.contains("must be a string literal"), "{computed}");
}

/// Long lists, long texts, wide objects and many of them.
fn large() -> Action {
    let list: Vec<_> = (0..30_000).collect();
    let short: Vec<_> = (0..2_000).collect();
    let members = |count| -> serde_json::Map<_, _> {
        (0..count).map(|n| (format!("k{n}"), n.into())).collect()
    };
    let many: serde_json::Map<_, _> = (0..16)
        .map(|n| (format!("o{n}"), members(200).into()))
        .collect();
    action(json!({
        "list": list,
        "short": short,
        "text": "x".repeat(60_000),
        "wide": members(4_000),
        "many": many,
    }))
}

#[test]
fn an_evaluation_ends_when_its_steps_are_used_up() {
    let terms: Vec<_> = (0..16)
        .map(|n| format!("action.payload.many.o{n}.k1 == 1"))
        .collect();
    let many_objects = format!("action.payload.short.all(a, {})", terms.join(" && "));
    let texts = [
        "action.payload.short.all(a, action.payload.short.all(b, a + b >= 0))",
        "action.payload.short.all(a, !(9999999 in action.payload.list))",
        "action.payload.short.all(a, action.payload.text.contains('y') || true)",
        "action.payload.short.all(a, action.payload.text.matches('y$') || true)",
        "action.payload.short.all(a, size(action.payload.list) > 0)",
        "[action.payload.wide].all(w, action.payload.short.all(a, w['k1'] == 1))",
        many_objects.as_str(),
    ];
    let action = large();
    on_a_small_stack(|| {
        for text in texts {
            let ended = evaluated(text, &action);
            assert_eq!(ended, Err(CelError::TooManySteps.to_string()), "{text}");
        }
    });
}

#[test]
fn an_evaluation_ends_when_its_bytes_are_used_up() {
    let link = ".map(a, a + a)".repeat(25);
    let doubling = format!("size([action.payload.text]{link}) == 0");
    let texts = [
        "action.payload.list.all(a, action.payload.list.all(b, a + b >= 0))",
        "action.payload.short.all(a, action.payload.list == action.payload.list)",
        "action.payload.short.map(a, action.payload.text + 'x') == []",
        "size(action.payload.short.map(a, a).map(a, action.payload.short + action.payload.short)) == 0",
        doubling.as_str(),
    ];
    let action = large();
    on_a_small_stack(|| {
        for text in texts {
            let ended = evaluated(text, &action).expect_err(text);
            let bounds = [CelError::TooLarge, CelError::TooManySteps];
            assert!(
                bounds.iter().any(|bound| bound.to_string() == ended),
                "{text}: {ended}"
            );
        }
    });
}

#[test]
fn what_was_shared_is_not_taken_apart_without_end() {
    // Doubled thirty times, the list is small in memory, but comparing it would take forever.
    let link = ".map(a, [a, a])".repeat(25);
    let text = format!("[1]{link} == [1]{link}");
    let action = action(json!({}));
    let ended = on_a_small_stack(|| evaluated(&text, &action));
    assert_eq!(ended, Err(CelError::TooManySteps.to_string()));
}

#[test]
fn the_end_of_a_budget_cannot_be_caught() {
    let short: Vec<_> = (0..2_000).collect();
    let action = action(json!({"short": short}));
    let endless = "action.payload.short.all(a, action.payload.short.all(b, a + b >= 0))";
    for text in [
        format!("{endless} || true"),
        format!("[1].exists(i, {endless} || true)")
            .replace("short.all(b, a + b", "short.exists(b, b < 0 || a"),
    ] {
        let found = evaluated(&text, &action);
        assert!(found.is_err(), "{text}: {found:?}");
    }
}

#[test]
fn payloads_of_the_greatest_depth_are_compared() {
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let action = action(json!({"a": deep, "b": deep}));
    let same = on_a_small_stack(|| evaluated("action.payload.a == action.payload.b", &action));
    assert_eq!(same, Ok(true));
}
