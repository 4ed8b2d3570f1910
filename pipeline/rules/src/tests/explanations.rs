//! The explanations of the playground.

use acteon_core::Redactor;
use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult};
use serde_json::json;

use super::{StateAnswers, action, case, set};

const RULES: &str = r#"
rules:
  - name: off
    enabled: false
    condition: { all: [] }
    action: { type: deny }
  - name: large
    metadata: { team: billing }
    condition:
      all:
        - { field: action.tenant, eq: acme }
        - { field: action.payload.amount, gt: 100, lte: 5000 }
    action: { type: deny }
  - name: secret
    condition: { any: [{ field: action.payload.card.number, starts_with: "5" }, { field: action.payload.none, eq: x }, { field: action.payload.token, eq: t }] }
    action: { type: deny }
  - name: "not"
    condition: { not: { field: action.metadata.env, eq: prod } }
    action: { type: deny }
  - name: mark
    continue: true
    condition: { all: [] }
    action: { type: modify, changes: { copy: "{{ action.payload.token }}", token: "{{ action.payload.token }}!" } }
  - name: mute
    condition: { field: action.payload.copy, exists: true }
    action: { type: suppress, reason: muted for the night }
  - name: after
    condition: { all: [] }
    action: { type: allow }
"#;

fn explain(options: &EvaluateOptions) -> Evaluation {
    let action = action(json!({"amount": 42, "token": "hush", "card": {"number": "4111"}}));
    let redactor = Redactor::new(
        ["token".into(), "card.number".into(), "copy".into()],
        "[REDACTED]",
    );
    let ticks = std::cell::Cell::new(0);
    let stopwatch = || {
        ticks.set(ticks.get() + 1);
        ticks.get()
    };
    let gathered = StateAnswers::default();
    let mut case = case(&action, &gathered);
    case.now = options.evaluate_at.unwrap_or(case.now);
    set(RULES).explain_timed(case, options, &redactor, &stopwatch)
}

#[test]
fn each_rule_is_told_with_the_condition_that_failed_and_no_secret() {
    let evaluation = explain(&EvaluateOptions::default());
    let text = serde_json::to_string_pretty(&evaluation).unwrap();
    for secret in ["hush", "4111"] {
        assert!(!text.contains(secret), "{text}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn disabled_rules_take_part_and_later_rules_are_tried_when_asked_for() {
    let options = EvaluateOptions {
        include_disabled: true,
        evaluate_all: true,
        ..EvaluateOptions::default()
    };
    let evaluation = explain(&options);
    assert_eq!(evaluation.matched_rule.as_deref(), Some("off"));
    let results: Vec<_> = evaluation.trace.iter().map(|t| t.result).collect();
    use RuleResult::{Matched, NotMatched};
    assert_eq!(
        results,
        [
            Matched, NotMatched, NotMatched, NotMatched, Matched, NotMatched, Matched
        ]
    );
    assert_eq!(
        (
            evaluation.total_rules_evaluated,
            evaluation.total_rules_skipped
        ),
        (7, 0)
    );
}

#[test]
fn the_time_can_be_chosen() {
    let options = EvaluateOptions {
        evaluate_at: Some("2024-02-29T00:00:00Z".parse().unwrap()),
        ..EvaluateOptions::default()
    };
    let context = explain(&options).context;
    assert_eq!(context["now"], 1_709_164_800);
    assert_eq!(context["time"]["weekday"], "Thursday");
    assert_eq!(context["timezone"], "UTC");
}

#[test]
fn a_rule_that_cannot_do_what_it_says_is_told_as_an_error() {
    let long = "{{ action.payload.v }}".repeat(20);
    let rules = set(&format!(
        "
rules:
  - {{ name: bad, on_error: fail, condition: {{ all: [] }}, action: {{ type: modify, changes: {{ x: '{long}' }} }} }}
  - {{ name: next, condition: {{ all: [] }}, action: {{ type: allow }} }}"
    ));
    let action = action(json!({"v": "v".repeat(65_536)}));
    let options = EvaluateOptions::default();
    let evaluation = rules.explain(
        case(&action, &StateAnswers::default()),
        &options,
        &Redactor::default(),
    );
    assert!(evaluation.has_errors);
    assert_eq!(evaluation.trace[0].result, RuleResult::Error);
    let reason = evaluation.trace[0].error.as_deref();
    assert_eq!(reason, Some("its templates write more than 1048576 bytes"));
    assert_eq!(evaluation.trace[1].result, RuleResult::Skipped);
}
