//! Random rules and actions: compiled rules decide like the naive model, with and without the index, and an explanation
//! arrives at the same decision. A failing case is printed with its seed.

use std::time::Duration;

use acteon_core::state::{Answer, Carrying, Question, StateKey, TallyCount};
use acteon_core::{Action, Labels, Payload};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::naive::{self, Naive};
use super::{StateAnswers, case, new_year, set};
use crate::{Decision, Effect, Gates, RuleSet, StateRead};

/// Few names and values, so that rules often match.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "", "ä", "a\"\\b", "😀", "5", "0"])
        .prop_map(String::from)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(String::from)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![
            json!(0),
            json!(1),
            json!(-1),
            json!(2.5),
            json!(1.0),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1e300)
        ]),
        word().prop_map(Value::from),
    ]
}

fn payload() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                (prop::sample::select(vec!["a", "b", "0", "ä"]), inner),
                0..5
            )
            .prop_map(|members| Value::Object(
                members
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect()
            )),
        ]
    })
}

fn path() -> impl Strategy<Value = String> {
    let step = prop::sample::select(vec!["a", "b", "0", "1", "ä"]);
    prop_oneof![
        prop::sample::select(vec![
            "action.namespace",
            "action.tenant",
            "action.provider",
            "action.action_type",
            "action.metadata.a",
            "action.dedup_key"
        ])
        .prop_map(String::from),
        prop::collection::vec(step, 0..4).prop_map(|steps| {
            let mut path = vec!["action", "payload"];
            path.extend(steps);
            path.join(".")
        }),
    ]
}

fn test() -> impl Strategy<Value = Value> {
    let order = prop::sample::select(vec!["gt", "gte", "lt", "lte"]);
    let limit = scalar().prop_filter("a limit has an order", |v| v.is_number() || v.is_string());
    let part = prop::sample::select(vec!["starts_with", "ends_with"]);
    let pattern = prop::sample::select(vec!["a", "^a", "b$", "^ab$", "[ab]+", "^.$", "\\d"]);
    let list = || prop::collection::vec(scalar(), 0..4);
    let operator = prop_oneof![
        scalar().prop_map(|v| ("eq", v)),
        scalar().prop_map(|v| ("ne", v)),
        (order, limit),
        scalar()
            .prop_filter("no null", |v| !v.is_null())
            .prop_map(|v| ("contains", v)),
        (part, word()).prop_map(|(name, v)| (name, v.into())),
        pattern.prop_map(|v| ("matches", v.into())),
        list().prop_map(|v| ("in", v.into())),
        list().prop_map(|v| ("not_in", v.into())),
        any::<bool>().prop_map(|v| ("exists", v.into())),
    ];
    (path(), operator).prop_map(|(path, (name, operand))| json!({"field": path, name: operand}))
}

/// Tests that the index uses.
fn found_by() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(vec!["namespace", "tenant", "provider", "action_type"]);
    let values = prop::collection::vec(name(), 1..3);
    (field, values).prop_map(|(field, values)| match values.as_slice() {
        [one] => json!({"field": format!("action.{field}"), "eq": one}),
        many => json!({"field": format!("action.{field}"), "in": many}),
    })
}

fn on_the_state() -> impl Strategy<Value = Value> {
    let key = || {
        prop::sample::select(vec![
            "k",
            "{{ action.payload.a }}",
            "{{ action.payload }} of {{ action.tenant }}{{ action.metadata.a }}",
        ])
    };
    let within = || prop::sample::select(vec![60, 86_400]);
    let argument = || prop_oneof![word(), path()];
    prop_oneof![
        (key(), within()).prop_map(|(k, w)| json!({"state_seen": k, "within_seconds": w})),
        (key(), within(), 0..4)
            .prop_map(|(k, w, n)| json!({"state_counter": k, "gte": n, "within_seconds": w})),
        (key(), 0..4, 0..4).prop_map(|(k, n, m)| json!({"state_counter": k, "gt": n, "ne": m})),
        (argument(), scalar())
            .prop_map(|(a, v)| json!({"call": "get_event_state", "args": [a], "ne": v})),
        (argument(), argument())
            .prop_map(|(a, v)| json!({"call": "event_in_state", "args": [a, v]})),
        prop::collection::vec(argument(), 1..3)
            .prop_map(|args| json!({"call": "has_active_event", "args": args})),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    prop_oneof![test(), found_by(), on_the_state()].prop_recursive(3, 12, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list().prop_map(|parts| json!({"all": parts})),
            list().prop_map(|parts| json!({"any": parts})),
            inner.clone().prop_map(|part| json!({"not": part})),
            (list(), list()).prop_map(|(all, any)| json!({"all": all, "any": any})),
        ]
    })
}

fn effect() -> impl Strategy<Value = Value> {
    let key = || {
        prop_oneof![
            Just(Value::Null),
            prop::collection::vec(path(), 1..3).prop_map(Value::from)
        ]
    };
    let with_key = |mut action: Value, key: Value| {
        if !key.is_null() {
            action["key"] = key;
        }
        action
    };
    let change = prop_oneof![
        scalar(),
        path().prop_map(|p| format!("{{{{ {p} }}}}").into()),
        (name(), scalar()).prop_map(|(k, v)| json!({k: v})),
    ];
    let changes = prop::collection::vec((name(), change), 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    prop_oneof![
        Just(json!({"type": "allow"})),
        Just(json!({"type": "deny"})),
        Just(json!({"type": "suppress"})),
        name().prop_map(|n| json!({"type": "reroute", "target_provider": n})),
        key().prop_map(move |k| with_key(json!({"type": "deduplicate"}), k)),
        key().prop_map(move |k| with_key(
            json!({"type": "throttle", "max_count": 1, "window_seconds": 1}),
            k
        )),
        changes.prop_map(|c| json!({"type": "modify", "changes": c})),
    ]
}

pub(super) fn rules() -> impl Strategy<Value = Vec<Value>> {
    let rule = (
        condition(),
        effect(),
        -2..3i64,
        any::<bool>(),
        prop::bool::weighted(0.9),
        prop::sample::select(vec!["skip", "deny", "fail"]),
    );
    prop::collection::vec(rule, 0..12).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        let rule = |(at, (condition, action, priority, goes_on, enabled, on_error)): (usize, _)| {
            json!({"name": format!("r{at}"), "condition": condition, "action": action, "priority": priority, "continue": goes_on, "enabled": enabled, "on_error": on_error})
        };
        numbered.map(rule).collect()
    })
}

pub(super) fn actions() -> impl Strategy<Value = Action> {
    let names = (name(), name(), name(), name());
    (names, any_payload(), prop::option::of(word())).prop_map(|(names, payload, label)| Action {
        id: "the-id".into(),
        namespace: names.0.into(),
        tenant: names.1.into(),
        provider: names.2.into(),
        action_type: names.3.into(),
        payload,
        labels: Labels::from_iter(label.map(|label| ("a", label))),
        ..super::action(Value::Null)
    })
}

/// A payload as decoding produces it, with its members recorded, or as a rule produces it.
fn any_payload() -> impl Strategy<Value = Payload> {
    (payload(), any::<bool>()).prop_map(|(payload, decoded)| match decoded {
        true => super::raw_action(&payload.to_string()).payload,
        false => Payload::from_value(&payload).unwrap(),
    })
}

/// The pretended answers of the state, without the reads whose bit is set in `away`.
pub(super) fn answered(reads: Vec<StateRead>, away: u64) -> StateAnswers {
    let there = |read: &StateRead| away >> (read.number % 64) & 1 == 0;
    let reads: Vec<_> = reads.into_iter().filter(there).collect();
    let answers: Vec<_> = reads.iter().map(answer).collect();
    StateAnswers::new(reads, answers)
}

fn answer(read: &StateRead) -> Answer {
    match &read.question {
        Question::Tally(_) => {
            let count = naive::pretended_count(&read.name);
            let last = (count > 0).then_some(Duration::ZERO);
            Answer::Tally(TallyCount { count, last })
        }
        Question::EventState(_) => {
            Answer::EventState(naive::pretended_state(&read.name).map(Into::into))
        }
        Question::Event(_) => Answer::Event(None),
        Question::ActiveEvent(asked) => {
            let value = match &asked.carrying {
                Carrying::Anything => None,
                Carrying::Value(value) => Some(value.as_str()),
                Carrying::Named(value) => Some(value.value.as_str()),
            };
            Answer::ActiveEvent(naive::pretended_active(&read.name, value))
        }
    }
}

fn as_naive(decision: Decision) -> Naive {
    assert_eq!(decision.rule_errors, 0);
    let notes = decision.notes.iter();
    let mut naive = Naive {
        verdict: decision.verdict.as_str().into(),
        matched: decision.matched_rule.map(|rule| rule.to_string()),
        notes: notes.map(|note| note.key.as_str().into()).collect(),
        ..Naive::default()
    };
    match decision.effect {
        Effect::Fail(failure) => panic!("{failure:?}"),
        Effect::Group(plan) => panic!("{plan:?}"),
        Effect::Report(report) => panic!("{report:?}"),
        Effect::Suppress { .. } => naive.suppressed = true,
        Effect::Deliver(plan) => {
            naive.provider = plan.provider.map(|p| p.to_string());
            naive.payload = plan.payload.map(|p| p.parse().unwrap());
            let Gates {
                reservation,
                claim_rules,
                quota_rules,
            } = plan.gates;
            let claims = reservation.claims.iter().map(|claim| &claim.key);
            let claims = claims.zip(claim_rules.iter());
            let claims = claims.map(|(key, rule)| (rule.to_string(), key.as_str().into()));
            naive.claims = claims.collect();
            let quotas = reservation.quotas.iter().map(|quota| &quota.key);
            let quotas = quotas.zip(quota_rules.iter());
            let quotas = quotas.map(|(key, (rule, _))| (rule.to_string(), key.as_str().into()));
            naive.quotas = quotas.collect();
        }
    }
    naive
}

/// The naive model has only the names of keys; a suppressed action keeps nothing of its plan.
fn comparable(mut naive: Naive, action: &Action) -> Naive {
    let key = |owner: &str, name: &str| {
        let key = StateKey::new(&action.namespace, &action.tenant, owner, name);
        key.as_str().to_owned()
    };
    for note in &mut naive.notes {
        *note = key("", note);
    }
    if naive.suppressed {
        return Naive {
            verdict: naive.verdict,
            matched: naive.matched,
            notes: naive.notes,
            suppressed: true,
            ..Naive::default()
        };
    }
    for (rule, name) in naive.claims.iter_mut().chain(&mut naive.quotas) {
        *name = key(rule, name);
    }
    naive
}

fn compiled(rules: &[Value]) -> RuleSet {
    set(&json!({ "rules": rules }).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn compiled_rules_decide_as_the_naive_ones(rules in rules(), actions in prop::collection::vec(actions(), 1..6)) {
        let set = compiled(&rules);
        for action in actions {
            let wire = serde_json::to_value(&action).unwrap();
            let expected = comparable(naive::decide(&rules, &wire), &action);
            let gathered = answered(set.ask(&action, new_year()), 0);
            prop_assert_eq!(as_naive(set.decide(&action, new_year(), &gathered)), expected);
        }
    }

    #[test]
    fn the_index_and_the_explanation_change_nothing(rules in rules(), actions in prop::collection::vec(actions(), 1..6), away in prop_oneof![Just(0), any::<u64>()]) {
        let set = compiled(&rules);
        let unindexed = set.without_index();
        for action in actions {
            let asked = |reads| answered(reads, away);
            let decision = set.decide(&action, new_year(), &asked(set.ask(&action, new_year())));
            let all = asked(unindexed.ask(&action, new_year()));
            prop_assert_eq!(&decision, &unindexed.decide(&action, new_year(), &all));
            let all = asked(set.ask_to_explain(&action, new_year(), &Default::default()));
            prop_assert_eq!(&decision, &set.decide_by_explaining(case(&action, &all)));
            let told = set.explain(case(&action, &all), &Default::default(), &Default::default());
            prop_assert_eq!(told.verdict, decision.verdict);
            prop_assert_eq!(told.matched_rule, decision.matched_rule);
            prop_assert_eq!(told.has_errors, decision.rule_errors > 0);
        }
    }

    #[test]
    fn any_text_is_a_rule_file_or_has_problems_with_places(text in "(rules|name|field|all|[a-z]|[-:\\[\\]{},\"'&*!|>%#?\\n 0-9]){0,80}") {
        if let Err(problems) = super::compile(&text) {
            prop_assert!(problems.iter().all(|p| p.line > 0 && p.column > 0));
        }
    }
}
