//! The answers of the state in explanations, and `mock_state`.

use std::time::Duration;

use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult};
use acteon_core::state::{Answer, Carrying, Question, TallyCount};
use acteon_core::{Action, Redactor};
use serde_json::{Value, json};

use super::{action, case, file, new_year, set};
use crate::{CompileSettings, MockError, RuleSet, StateAnswers};

const RULES: &str = "
rules:
  - { name: off, enabled: false, condition: { state_counter: off, gte: 1 }, action: { type: deny } }
  - name: pages
    condition:
      all:
        - { state_seen: 'pages of {{ action.payload.token }}', within_seconds: 60 }
        - { state_counter: 'pages in {{ env.REGION }} of {{ action.tenant }}', gte: 5 }
    action: { type: deny }
  - name: events
    condition:
      any:
        - { call: get_event_state, args: [action.payload.token], eq: firing }
        - { call: event_in_state, args: [f, firing] }
        - { call: has_active_event, args: [down, action.payload.token] }
        - { not: { call: has_active_event, args: [up] } }
    action: { type: deny }
  - { name: done, condition: { all: [] }, action: { type: allow } }
  - { name: late, condition: { state_counter: late, gte: 1 }, action: { type: deny } }
";

fn rules() -> RuleSet {
    let settings = CompileSettings {
        environment: vec![("REGION".into(), "inner-eu".into())],
        ..CompileSettings::default()
    };
    RuleSet::compile(&[file("rules.yaml", RULES)], &settings).unwrap()
}

fn token() -> Action {
    action(json!({"token": "hush"}))
}

/// All kinds of answers.
fn answer(question: &Question) -> Answer {
    match question {
        Question::Tally(tally) if tally.within == Duration::from_secs(60) => {
            Answer::Tally(TallyCount {
                count: 2,
                last: Some(Duration::from_millis(1500)),
            })
        }
        Question::Tally(_) => Answer::Tally(TallyCount::default()),
        Question::EventState(asked) if asked.event.as_str().ends_with('f') => {
            Answer::EventState(Some("resolved".into()))
        }
        Question::EventState(_) => Answer::EventState(None),
        Question::Event(_) => Answer::Event(None),
        Question::ActiveEvent(asked) => Answer::ActiveEvent(asked.carrying == Carrying::Anything),
    }
}

fn explain(set: &RuleSet, options: &EvaluateOptions) -> Evaluation {
    let action = token();
    let reads = set.ask_to_explain(&action, new_year(), options);
    let answers: Vec<_> = reads.iter().map(|read| answer(&read.question)).collect();
    let gathered = StateAnswers::new(reads, answers);
    let redactor = Redactor::new(["token".into()], "[REDACTED]");
    set.explain(case(&action, &gathered), options, &redactor)
}

#[test]
fn what_was_read_is_told_with_no_secret_in_its_keys() {
    let evaluation = explain(&rules(), &EvaluateOptions::default());
    let text = serde_json::to_string(&evaluation).unwrap();
    for secret in ["hush", "inner-eu"] {
        assert!(!text.contains(secret), "{text}");
    }
    let expected = json!([
        {"key": "pages of [REDACTED]", "within_seconds": 60, "count": 2, "last_seconds_ago": 1.5},
        {"key": "pages in (not shown) of acme", "within_seconds": 86400, "count": 0, "last_seconds_ago": null},
        {"fingerprint": "[REDACTED]", "state": null},
        {"fingerprint": "f", "state": "resolved"},
        {"event_type": "down", "value": "[REDACTED]", "active": false},
        {"event_type": "up", "value": null, "active": true},
        {"key": "late", "within_seconds": 86400, "count": 0, "last_seconds_ago": null},
    ]);
    assert_eq!(evaluation.context["state"], expected);
}

#[test]
fn a_condition_on_the_state_that_fails_is_told_with_the_answer_it_got() {
    let evaluation = explain(&rules(), &EvaluateOptions::default());
    let reasons: Vec<_> = evaluation.trace.iter().map(|t| t.why()).collect();
    let expected = [
        Some("the rule is disabled"),
        Some(
            r#"state_counter "pages in {{ env.REGION }} of {{ action.tenant }}" within 86400 s is 0; expected gte: 5"#,
        ),
        Some(
            r#"none of: get_event_state(action.payload.token) is nothing; expected eq: "firing"; event_in_state(f, firing) is false; expected eq: true; has_active_event(down, action.payload.token) is false; expected eq: true; ..."#,
        ),
        None,
        Some("an earlier rule has decided"),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn disabled_rules_that_take_part_ask_too() {
    let options = EvaluateOptions {
        include_disabled: true,
        ..EvaluateOptions::default()
    };
    let state = explain(&rules(), &options).context["state"].clone();
    assert_eq!(state[0]["key"], "off");
}

#[test]
fn a_rule_whose_state_is_not_known_is_an_error_wherever_it_stands() {
    let set = set("
rules:
  - { name: a, condition: { all: [] }, action: { type: allow } }
  - { name: b, condition: { state_counter: k, gte: 1 }, action: { type: deny } }");
    let options = EvaluateOptions {
        evaluate_all: true,
        ..EvaluateOptions::default()
    };
    let action = token();
    let nothing = StateAnswers::default();
    let evaluation = set.explain(case(&action, &nothing), &options, &Redactor::default());
    assert_eq!(evaluation.trace[1].result, RuleResult::Error);
    assert_eq!(
        evaluation.trace[1].error.as_deref(),
        Some("the state that it reads is unknown")
    );
    assert!(evaluation.has_errors);
    assert_eq!(evaluation.context["state"], json!([]));
    let short = set.explain(
        case(&action, &nothing),
        &EvaluateOptions::default(),
        &Redactor::default(),
    );
    assert!(!short.has_errors);
}

/// The one answer of `mock` for a rule with this condition.
fn made_up(condition: &str, mock: &Value) -> Result<Answer, MockError> {
    let set = set(&format!(
        "rules: [{{name: r, condition: {condition}, action: {{type: deny}}}}]"
    ));
    let reads = set.ask(&token(), new_year());
    let number = reads[0].number;
    StateAnswers::mocked(reads, mock).map(|answers| answers.get(number).unwrap().1.clone())
}

const SEEN: &str = "{state_seen: 'k of {{ action.tenant }}', within_seconds: 60}";
const STATE: &str = "{call: get_event_state, args: [f], eq: firing}";
const ACTIVE: &str = "{call: has_active_event, args: [down]}";
const ACTIVE_FOR: &str = "{call: has_active_event, args: [down, action.payload.token]}";

#[test]
fn state_can_be_made_up_in_each_of_its_forms() {
    let noted = |count| {
        let last = (count > 0).then_some(Duration::ZERO);
        Answer::Tally(TallyCount { count, last })
    };
    let state = |state: Option<&str>| Answer::EventState(state.map(Into::into));
    let active = Answer::ActiveEvent;
    let rows = [
        (SEEN, json!({"k of acme": 3}), noted(3)),
        (SEEN, json!({"k of acme": 0}), noted(0)),
        (SEEN, json!({"k of acme": true}), noted(1)),
        (SEEN, json!({"k of acme": false}), noted(0)),
        (SEEN, json!({"k of acme": null}), noted(0)),
        (SEEN, json!({"k": 3}), noted(0)),
        (STATE, json!({"f": "firing"}), state(Some("firing"))),
        (STATE, json!({"f": null}), state(None)),
        (STATE, json!({}), state(None)),
        (ACTIVE, json!({"down": true}), active(true)),
        (ACTIVE, json!({"down": false}), active(false)),
        (ACTIVE, json!({"down": ["x"]}), active(true)),
        (ACTIVE, json!({"down": []}), active(false)),
        (ACTIVE_FOR, json!({"down": true}), active(true)),
        (ACTIVE_FOR, json!({"down": ["hush"]}), active(true)),
        (ACTIVE_FOR, json!({"down": ["x", 7]}), active(false)),
        (ACTIVE_FOR, json!({}), active(false)),
    ];
    for (condition, mock, expected) in rows {
        assert_eq!(
            made_up(condition, &mock).unwrap(),
            expected,
            "{condition} {mock}"
        );
    }
}

#[test]
fn made_up_state_of_the_wrong_kind_is_refused_with_its_key() {
    let of_acme = "`mock_state`: `k of acme` takes a count, or `true`";
    let of_f = "`mock_state`: `f` takes the name of a state";
    let of_down = "`mock_state`: `down` takes `true`, or a list of values";
    let rows = [
        (SEEN, json!({"k of acme": "3"}), of_acme),
        (SEEN, json!({"k of acme": -1}), of_acme),
        (SEEN, json!({"k of acme": 1.5}), of_acme),
        (SEEN, json!({"k of acme": [1]}), of_acme),
        (STATE, json!({"f": true}), of_f),
        (STATE, json!({"f": 1}), of_f),
        (ACTIVE, json!({"down": "x"}), of_down),
        (ACTIVE_FOR, json!({"down": 1}), of_down),
        (
            SEEN,
            json!([]),
            "`mock_state` must be an object that maps keys to values",
        ),
        (
            SEEN,
            json!(1),
            "`mock_state` must be an object that maps keys to values",
        ),
    ];
    for (condition, mock, expected) in rows {
        let error = made_up(condition, &mock).unwrap_err();
        assert_eq!(error.to_string(), expected, "{condition} {mock}");
    }
}
