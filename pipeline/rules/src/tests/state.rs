//! Conditions on the state: their reads, the values they take from the answers, the tallies they record, and rules
//! without an answer.

use std::collections::HashSet;
use std::time::Duration;

use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, EventStateQuestion, Question, StateKey, Tally,
    TallyCount,
};
use acteon_core::verdict::RuleFailure;
use acteon_core::{Action, Verdict};
use serde_json::{Value, json};

use super::{action, holds_given, new_year, set};
use crate::{Decision, Effect, RuleSet, StateAnswers};

/// Pretended answers of the state to the reads of a set.
pub(super) fn known(set: &RuleSet, action: &Action, mock: &Value) -> StateAnswers {
    StateAnswers::mocked(set.ask(action, new_year()), mock).unwrap()
}

pub(super) fn decide(set: &RuleSet, action: &Action, mock: &Value) -> Decision {
    set.decide(action, new_year(), &known(set, action, mock))
}

pub(super) fn questions(set: &RuleSet, action: &Action) -> Vec<Question> {
    let reads = set.ask(action, new_year());
    reads.into_iter().map(|read| read.question).collect()
}

pub(super) fn one_rule(condition: &str) -> RuleSet {
    set(&format!(
        "rules: [{{name: r, condition: {condition}, action: {{type: suppress}}}}]"
    ))
}

/// A key of the shop's acme.
pub(super) fn own(name: &str) -> StateKey {
    StateKey::new("shop", "acme", "", name)
}

fn tally(seconds: u64, key: &str) -> Tally {
    Tally {
        key: own(&format!("{seconds}:{key}")),
        within: Duration::from_secs(seconds),
    }
}

/// A condition, the pretended state, and whether the condition holds.
const ROWS: &str = r#"
{state_seen: k, within_seconds: 60} | {"k": true} | yes
{state_seen: k, within_seconds: 60} | {"k": 7} | yes
{state_seen: k, within_seconds: 60} | {"k": 0} | no
{state_seen: k, within_seconds: 60} | {} | no
{not: {state_seen: k, within_seconds: 60}} | {} | yes
{all: [], state_seen: k, within_seconds: 60} | {"k": 1} | yes
{any: [], state_seen: k, within_seconds: 60} | {"k": 1} | no
{state_counter: k, gte: 5} | {"k": 5} | yes
{state_counter: k, gte: 5} | {"k": 4} | no
{state_counter: k, gt: 1, lte: 3} | {"k": 3} | yes
{state_counter: k, gt: 1, lte: 3} | {"k": 4} | no
{state_counter: k, eq: 0} | {} | yes
{state_counter: k, exists: true} | {} | yes
{state_counter: k, in: [2, 4]} | {"k": 4} | yes
{state_counter: k, ne: 4} | {"k": 4} | no
{state_counter: k, gt: 1.5} | {"k": 2} | yes
{state_counter: k, gt: "1"} | {"k": 2} | no
{state_counter: "k of {{ action.tenant }}", eq: 1} | {"k of acme": 1} | yes
{state_counter: "{{ action.payload.none }}", eq: 1} | {"": 1} | yes
{call: has_active_event, args: [down]} | {"down": true} | yes
{call: has_active_event, args: [down]} | {"down": ["x"]} | yes
{call: has_active_event, args: [down]} | {"down": []} | no
{call: has_active_event, args: [down]} | {} | no
{call: has_active_event, args: [down, action.metadata.env]} | {"down": ["dev", "prod"]} | yes
{call: has_active_event, args: [down, action.metadata.env]} | {"down": ["dev"]} | no
{call: has_active_event, args: [down, 7]} | {"down": ["7"]} | yes
{call: has_active_event, args: [action]} | {"action": true} | yes
{call: get_event_state, args: [f], eq: firing} | {"f": "firing"} | yes
{call: get_event_state, args: [f], eq: firing} | {"f": "resolved"} | no
{call: get_event_state, args: [f], eq: null} | {} | yes
{call: get_event_state, args: [f], ne: firing} | {} | yes
{call: get_event_state, args: [f], exists: true, starts_with: f} | {"f": "firing"} | yes
{call: get_event_state, args: [f], in: [a, b]} | {} | no
{call: event_in_state, args: [f, firing]} | {"f": "firing"} | yes
{call: event_in_state, args: [f, firing]} | {"f": "resolved"} | no
{call: event_in_state, args: [f, action.payload.state]} | {"f": "open"} | yes
{call: event_in_state, args: [f, action.payload.none]} | {} | no
{call: event_in_state, args: [f, ""]} | {"f": ""} | no
{call: event_in_state, args: [action.payload.none, open]} | {"": "open"} | no
{call: event_in_state, args: ["", open]} | {"": "open"} | no
{call: event_in_state, args: [f, firing], grace_seconds: 60} | {"f": "firing"} | yes
{call: get_event_state, args: [action.payload.none], eq: open} | {"": "open"} | no
{call: get_event_state, args: [action.payload.none], exists: true} | {"": "open"} | no
{call: has_active_event, args: [action.payload.none]} | {"": true} | no
{call: has_active_event, args: [""]} | {"": true} | no
{call: has_active_event, args: [down, {env: action.metadata.env}]} | {"down": ["prod"]} | yes
{call: has_active_event, args: [down, {env: action.metadata.none}]} | {"down": true} | no
{call: has_active_event, args: [action.payload.none, {env: prod}]} | {"": true} | no
"#;

#[test]
fn each_condition_holds_for_its_answers() {
    let action = action(json!({"state": "open"}));
    for row in ROWS.trim().lines() {
        let [condition, mock, expected] = row.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let mock = serde_json::from_str(mock).unwrap();
        let decision = decide(&one_rule(condition), &action, &mock);
        assert_eq!(decision.rule_errors, 0, "{row}");
        assert_eq!(decision.matched_rule.is_some(), expected == "yes", "{row}");
    }
}

pub(super) fn state_of(fingerprint: &str, grace_seconds: u64) -> Question {
    Question::EventState(EventStateQuestion {
        event: own(fingerprint),
        grace: Duration::from_secs(grace_seconds),
    })
}

pub(super) fn active(event_type: &str, carrying: Carrying) -> Question {
    Question::ActiveEvent(ActiveEventQuestion {
        event_type: own(event_type),
        carrying,
        grace: Duration::ZERO,
    })
}

#[test]
fn the_questions_are_those_of_the_conditions() {
    let set = one_rule(
        "{all: [
            {state_seen: 'pages of {{ action.tenant }}', within_seconds: 60},
            {state_counter: 'pages of {{ action.tenant }}', gt: 3},
            {call: get_event_state, args: [action.payload.id], eq: x},
            {call: has_active_event, args: [action.action_type]},
            {call: has_active_event, args: [down, action.payload.id]},
        ]}",
    );
    assert!(set.asks());
    let expected = [
        Question::Tally(tally(60, "pages of acme")),
        Question::Tally(tally(86_400, "pages of acme")),
        state_of("7", 0),
        active("order", Carrying::Anything),
        active("down", Carrying::Value("7".into())),
    ];
    assert_eq!(questions(&set, &action(json!({"id": 7}))), expected);
}

#[test]
fn equal_reads_are_asked_once() {
    let set = set("
rules:
  - { name: a, continue: true, condition: { state_counter: 'k{{ action.id }}', gte: 5 }, action: { type: allow } }
  - { name: b, continue: true, condition: { state_counter: 'k{{ action.id }}', lt: 2, within_seconds: 86400 }, action: { type: allow } }
  - { name: c, continue: true, condition: { state_seen: 'k{{ action.id }}', within_seconds: 86400 }, action: { type: allow } }
  - { name: d, continue: true, condition: { call: get_event_state, args: [f], eq: a }, action: { type: allow } }
  - { name: e, continue: true, condition: { any: [{ call: event_in_state, args: [f, a] }, { call: event_in_state, args: [f, b] }] }, action: { type: allow } }
  - { name: f, condition: { state_seen: 'k{{ action.id }}', within_seconds: 60 }, action: { type: allow } }");
    let expected = [
        Question::Tally(tally(86_400, "ka-1")),
        state_of("f", 0),
        Question::Tally(tally(60, "ka-1")),
    ];
    assert_eq!(questions(&set, &action(json!({}))), expected);
}

#[test]
fn only_rules_that_could_match_ask() {
    let set = set("
rules:
  - { name: a, condition: { all: [{ field: action.tenant, eq: other }, { state_counter: a, gte: 5 }] }, action: { type: deny } }
  - { name: b, enabled: false, condition: { state_counter: b, gte: 5 }, action: { type: deny } }
  - { name: c, condition: { all: [{ field: action.action_type, in: [order] }, { state_counter: c, gte: 5 }] }, action: { type: deny } }
  - { name: d, condition: { field: action.tenant, eq: acme }, action: { type: deny } }");
    let asked = |set: &RuleSet, action: &Action| questions(set, action);
    let by = |key| Question::Tally(tally(86_400, key));
    let order = action(json!({}));
    assert_eq!(asked(&set, &order), [by("c")]);
    let toggled = set.with_toggles(&[("b".into(), true), ("c".into(), false)]);
    assert_eq!(asked(&toggled, &order), [by("b")]);
    let mut page = order;
    page.action_type = "page".into();
    assert_eq!(asked(&set, &page), []);
}

#[test]
fn a_set_that_reads_no_state_asks_nothing() {
    let set = one_rule("{field: action.tenant, eq: acme}");
    assert!(!set.asks() && !RuleSet::empty().asks());
    assert_eq!(questions(&set, &action(json!({}))), []);
}

#[test]
fn a_tally_is_noted_where_its_condition_is_reached() {
    let count = |key: &str| format!("{{state_counter: {key}, gte: 3}}");
    let a = count("a");
    let b = count("b");
    let yes = "{field: action.tenant, eq: acme}";
    let no = "{field: action.tenant, eq: x}";
    let rows: [(String, &[&str]); 12] = [
        (a.clone(), &["a"]),
        (format!("{{all: [{yes}, {a}]}}"), &["a"]),
        (format!("{{all: [{no}, {a}]}}"), &[]),
        (format!("{{any: [{yes}, {a}]}}"), &[]),
        (format!("{{any: [{no}, {a}]}}"), &["a"]),
        (format!("{{not: {a}}}"), &["a"]),
        // The count of `a` is too low for the parts after it in an `all`; `c` is high enough to end an `any`.
        (format!("{{all: [{a}, {b}]}}"), &["a"]),
        (format!("{{any: [{a}, {b}]}}"), &["a", "b"]),
        (format!("{{any: [{}, {b}]}}", count("c")), &["c"]),
        (format!("{{not: {{all: [{yes}, {b}, {a}]}}}}"), &["b"]),
        (format!("{{all: [{{not: {b}}}, {a}, {b}]}}"), &["b", "a"]),
        (
            format!("{{any: [{a}, {{state_seen: a, within_seconds: 86400}}]}}"),
            &["a"],
        ),
    ];
    let action = action(json!({}));
    for (condition, expected) in rows {
        let decision = decide(&one_rule(&condition), &action, &json!({"c": 3}));
        let expected: Vec<_> = expected.iter().map(|key| tally(86_400, key)).collect();
        assert_eq!(decision.notes, expected, "{condition}");
    }
}

#[test]
fn what_stands_after_a_tally_does_not_say_what_is_counted() {
    let set = one_rule(
        "{all: [{field: action.action_type, eq: order}, {state_counter: k, gte: 9}, {field: action.tenant, eq: x}]}",
    );
    let mut action = action(json!({}));
    assert_eq!(
        decide(&set, &action, &json!({"k": 9})).notes,
        [tally(86_400, "k")]
    );
    action.action_type = "page".into();
    assert_eq!(questions(&set, &action), []);
}

#[test]
fn the_notes_of_all_rules_that_were_tried_stand_once_each_in_their_order() {
    let set = set("
rules:
  - { name: a, condition: { state_counter: '{{ action.tenant }}', gt: 9 }, action: { type: deny } }
  - { name: b, continue: true, condition: { all: [{ state_seen: b, within_seconds: 5 }] }, action: { type: modify, changes: { x: 1 } } }
  - { name: c, condition: { state_counter: acme, gt: 9 }, action: { type: deny } }
  - { name: d, condition: { state_counter: acme, gt: 9, within_seconds: 5 }, action: { type: deny } }
  - { name: e, condition: { call: has_active_event, args: [down] }, action: { type: deny } }
  - { name: f, condition: { state_counter: f, eq: 0 }, action: { type: suppress } }
  - { name: g, condition: { state_counter: g, eq: 0 }, action: { type: deny } }");
    let decision = decide(&set, &action(json!({})), &json!({"b": true}));
    assert_eq!(decision.matched_rule.as_deref(), Some("f"));
    let expected = [
        tally(86_400, "acme"),
        tally(5, "b"),
        tally(5, "acme"),
        tally(86_400, "f"),
    ];
    assert_eq!(decision.notes, expected);
}

#[test]
fn keys_are_made_of_the_action_as_it_came() {
    let set = set("
rules:
  - { name: change, continue: true, condition: { all: [] }, action: { type: modify, changes: { user: eve } } }
  - { name: seen, condition: { all: [{ field: action.payload.user, eq: eve }, { state_counter: '{{ action.payload.user }}', gte: 1 }] }, action: { type: deny } }");
    let decision = decide(&set, &action(json!({"user": "ann"})), &json!({"ann": 1}));
    assert_eq!(decision.matched_rule.as_deref(), Some("seen"));
    assert_eq!(decision.notes, [tally(86_400, "ann")]);
}

#[test]
fn long_keys_are_kept_short_and_apart() {
    let set = one_rule("{state_counter: 'k {{ action.payload.text }}', gte: 1}");
    let key = |text: String| match questions(&set, &action(json!({"text": text}))).remove(0) {
        Question::Tally(tally) => tally.key,
        other => panic!("{other:?}"),
    };
    let a = key("a".repeat(60_000));
    let b = key("b".repeat(60_000));
    assert!(a.as_str().len() < 300);
    assert_ne!(a, b);
}

#[test]
fn keys_of_different_tenants_never_meet() {
    let set = one_rule(
        "{any: [{state_counter: '{{ action.payload.k }}', gte: 9}, {call: get_event_state, args: [action.payload.k], eq: x}, {call: has_active_event, args: [action.payload.k]}]}",
    );
    let words = ["a", "b", "a1", "1:a", "1:b", ":", "11", "0:", "1:a0:"];
    let mut all = HashSet::new();
    for namespace in words {
        for tenant in words {
            for key in words {
                let mut action = action(json!({ "k": key }));
                (action.namespace, action.tenant) = (namespace.into(), tenant.into());
                for question in questions(&set, &action) {
                    assert!(all.insert(question), "{namespace} {tenant} {key}");
                }
            }
        }
    }
}

/// A rule without an answer of the state, before one that matches.
fn unknown(on_error: &str) -> Decision {
    let set = set(&format!(
        "
rules:
  - {{ name: pages, on_error: {on_error}, condition: {{ state_counter: k, gte: 5 }}, action: {{ type: deny, reason: enough }} }}
  - {{ name: next, condition: {{ all: [] }}, action: {{ type: reroute, target_provider: x }} }}"
    ));
    set.decide(&action(json!({})), new_year(), &StateAnswers::default())
}

#[test]
fn a_read_without_an_answer_is_an_error_of_its_rule() {
    let failure = RuleFailure {
        rule: "pages".into(),
        message: "the state that it reads is unknown".into(),
    };
    let told = |decision: &Decision| {
        assert_eq!(decision.rule_errors, 1);
        assert_eq!(decision.notes, []);
        decision.details.clone().unwrap()
    };
    let skipped = unknown("skip");
    assert_eq!(skipped.matched_rule.as_deref(), Some("next"));
    assert_eq!(told(&skipped).errors, std::slice::from_ref(&failure));
    let denied = unknown("deny");
    assert_eq!(denied.verdict, Verdict::Deny);
    assert!(matches!(&denied.effect, Effect::Suppress { rule } if &**rule == "pages"));
    assert_eq!(told(&denied).errors, std::slice::from_ref(&failure));
    assert_eq!(told(&denied).reason.as_deref(), Some("enough"));
    let failed = unknown("fail");
    assert_eq!(told(&failed).errors, [failure]);
    let Effect::Fail(failure) = failed.effect else {
        panic!("{:?}", failed.effect);
    };
    assert_eq!(
        failure.message,
        "rule \"pages\" could not be applied: the state that it reads is unknown"
    );
}

#[test]
fn an_answer_of_another_kind_is_none() {
    let set = one_rule("{state_counter: k, gte: 0}");
    let action = action(json!({}));
    let wrong = StateAnswers::new(set.ask(&action, new_year()), [Answer::ActiveEvent(true)]);
    assert_eq!(set.decide(&action, new_year(), &wrong).rule_errors, 1);
}

#[test]
fn an_error_counts_only_where_the_other_parts_leave_it_open() {
    let away = "{state_counter: k, gte: 5}";
    let yes = "{all: []}";
    let no = "{any: []}";
    let rows = [
        (away.to_owned(), None),
        (format!("{{not: {away}}}"), None),
        (format!("{{any: [{away}, {yes}]}}"), Some(true)),
        (format!("{{any: [{yes}, {away}]}}"), Some(true)),
        (format!("{{any: [{away}, {no}]}}"), None),
        (format!("{{any: [{no}, {away}]}}"), None),
        (format!("{{all: [{away}, {no}]}}"), Some(false)),
        (format!("{{all: [{no}, {away}]}}"), Some(false)),
        (format!("{{all: [{away}, {yes}]}}"), None),
        (format!("{{all: [{yes}, {away}]}}"), None),
        (format!("{{not: {{all: [{away}, {no}]}}}}"), Some(true)),
        (
            format!("{{any: [{{all: [{away}, {yes}]}}, {yes}]}}"),
            Some(true),
        ),
        (
            format!("{{all: [{{not: {away}}}, {{any: [{away}, {no}]}}]}}"),
            None,
        ),
    ];
    for (condition, expected) in rows {
        let decision = holds_given(&condition, &action(json!({})), &StateAnswers::default());
        let matched = decision.matched_rule.is_some();
        let found = (decision.rule_errors == 0).then_some(matched);
        assert_eq!(found, expected, "{condition}");
    }
}

#[test]
fn what_came_since_the_state_answered_is_added() {
    let set = one_rule(
        "{all: [{state_seen: k, within_seconds: 60}, {state_counter: k, within_seconds: 60, gte: 3}]}",
    );
    let action = action(json!({}));
    let mut gathered = known(&set, &action, &json!({}));
    let matches = |gathered: &StateAnswers| {
        let decision = set.decide(&action, new_year(), gathered);
        decision.matched_rule.is_some()
    };
    gathered.add(|noted| 2 * u64::from(*noted == tally(60, "k")));
    assert!(!matches(&gathered));
    gathered.add(|noted| u64::from(*noted == tally(86_400, "k")));
    assert!(!matches(&gathered), "another window is another tally");
    gathered.add(|_| 1);
    assert!(matches(&gathered));
}

#[test]
fn a_count_and_whether_it_was_seen_are_taken_as_the_state_tells_them() {
    let set = one_rule(
        "{all: [{state_seen: k, within_seconds: 60}, {state_counter: k, within_seconds: 60, eq: 2}]}",
    );
    let action = action(json!({}));
    let tallied = TallyCount {
        count: 2,
        last: Some(Duration::from_secs(59)),
    };
    let reads = set.ask(&action, new_year());
    let gathered = StateAnswers::new(reads, [Answer::Tally(tallied)]);
    let decision = set.decide(&action, new_year(), &gathered);
    assert_eq!(decision.verdict, Verdict::Suppress);
}
