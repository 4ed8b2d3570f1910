//! Silences of a setup. What they withhold is in the cookbook, too.

use super::{bare, load, one, passes};

const NO_RULE: &str =
    "rules: [{ name: never, condition: { any: [] }, action: { type: suppress } }]";

#[test]
fn a_silence_counts_from_its_step_on_and_until_it_is_over() {
    passes(
        NO_RULE,
        r#"
- at: 0s
  dispatch: { metadata: { env: test } }
  expect: { outcome: Executed }
- at: 1m
  given: { silences: [{ id: s, lasts: 10m, matchers: [{ name: env, op: "=", value: test }] }] }
  dispatch: { metadata: { env: test } }
  expect: { outcome: Suppressed, rule: "silence:s" }
- at: 2m
  dispatch: { metadata: { env: prod } }
  expect: { outcome: Executed, rule: null }
- at: 11m
  dispatch: { metadata: { env: test } }
  expect: { outcome: Executed }"#,
    );
}

#[test]
fn a_silence_that_the_api_would_refuse_is_a_mistake_of_the_test() {
    let cases = [
        (
            "{ id: s, lasts: 10m, matchers: [] }",
            "expected 1 to 32 matchers",
        ),
        (
            "{ id: s, lasts: 10m, matchers: [{ name: env, op: \"=~\", value: \"(\" }] }",
            "matchers[0].value",
        ),
        (
            "{ id: s, matchers: [{ name: env, op: \"=\", value: x }] }",
            "`lasts`",
        ),
        (
            "{ id: s, lasts: 1m, matchers: [{ name: env, op: \"==\", value: x }] }",
            "operator",
        ),
    ];
    for (silence, expected) in cases {
        let timeline =
            format!("\n- at: 0s\n  given: {{ silences: [{silence}] }}\n  dispatch: {{}}");
        let error = load(NO_RULE, &one(&timeline), bare()).err().unwrap();
        let message = error.to_string();
        assert!(message.contains(expected), "{message}");
    }
}
