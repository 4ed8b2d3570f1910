//! Rules and an action: evaluation always reaches a decision, the same twice, and the explanation agrees with it.
//!
//! Parts: a rule file, an action, and mocked answers of the state (`mock_state`). The time is the action's `created_at`.

use acteon_core::rules::{EvaluateOptions, Evaluation};
use acteon_core::state::{Answer, Carrying, QUOTAS_MAX, Question, TallyCount};
use acteon_core::{Action, Redactor};
use acteon_rules::{Decision, Effect, ExplainRequest, RuleFile, RuleSet, StateAnswers, StateRead};
use jiff::Timestamp;
use serde_json::Value;

use crate::Reading;
use crate::parts::{action, sample, split, text};
use crate::rules::settings;

pub(crate) fn feed(input: &[u8]) -> Reading {
    let [rules, json, mock] = split(input);
    let file = RuleFile {
        name: "fuzz.yaml".into(),
        text: text(rules),
    };
    let Ok(set) = RuleSet::compile(&[file], &settings()) else {
        return Reading::Refused;
    };
    let action = action(json).unwrap_or_else(sample);
    let now = action.created_at.timestamp();
    judge(&set, &action, &StateAnswers::default());
    let asked = asked(&set, &action, now);
    let answers = asked.iter().map(answer).collect::<Vec<_>>();
    judge(&set, &action, &StateAnswers::new(asked.clone(), answers));
    let mock = serde_json::from_slice::<Value>(mock).unwrap_or(Value::Object(Default::default()));
    match StateAnswers::mocked(asked, &mock) {
        Ok(gathered) => drop(judge(&set, &action, &gathered)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Reading::Accepted
}

/// Two decisions ask the same of the state, and an explanation asks that and more.
fn asked(set: &RuleSet, action: &Action, now: Timestamp) -> Vec<StateRead> {
    let asked = set.ask(action, now);
    assert_eq!(asked, set.ask(action, now));
    assert!(asked.is_empty() || set.asks());
    let more = set.ask_to_explain(action, now, &EvaluateOptions::default());
    assert!(asked.iter().all(|read| more.contains(read)));
    asked
}

/// An answer derived from the question.
fn answer(read: &StateRead) -> Answer {
    match &read.question {
        Question::Tally(tally) => {
            let count = tally.within.as_secs() % 7;
            let last = (count > 0).then_some(tally.within / 2);
            Answer::Tally(TallyCount { count, last })
        }
        Question::EventState(_) => Answer::EventState(Some("firing".into())),
        Question::Event(_) => Answer::Event(None),
        Question::ActiveEvent(asked) => Answer::ActiveEvent(asked.carrying == Carrying::Anything),
    }
}

/// Decides and explains, and compares the two.
pub(crate) fn judge(set: &RuleSet, action: &Action, gathered: &StateAnswers) -> Evaluation {
    let now = action.created_at.timestamp();
    let decision = set.decide(action, now, gathered);
    assert_eq!(decision, set.decide(action, now, gathered), "decided twice");
    check(&decision, action);
    let case = ExplainRequest {
        action,
        now,
        answers: gathered,
    };
    let explained = explain(set, case, &EvaluateOptions::default());
    same(&decision, &explained);
    let every_rule = EvaluateOptions {
        evaluate_all: true,
        ..EvaluateOptions::default()
    };
    let all = explain(set, case, &every_rule);
    same(&decision, &all);
    let with_disabled = EvaluateOptions {
        include_disabled: true,
        ..every_rule
    };
    explain(set, case, &with_disabled);
    all
}

fn explain(set: &RuleSet, case: ExplainRequest<'_>, options: &EvaluateOptions) -> Evaluation {
    let redactor = Redactor::new(["password".to_owned()], "***");
    let explained = set.explain(case, options, &redactor);
    assert_eq!(explained.trace.len(), set.len());
    let again = set.explain(case, options, &redactor);
    let shown = |evaluation| serde_json::to_string(&evaluation).map_err(|error| error.to_string());
    let first = shown(&explained);
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(first, shown(&again), "explained twice");
    explained
}

fn same(decision: &Decision, explained: &Evaluation) {
    assert_eq!(decision.verdict, explained.verdict);
    assert_eq!(decision.matched_rule, explained.matched_rule);
    assert_eq!(decision.rule_errors > 0, explained.has_errors);
}

/// The verdict can be carried out.
fn check(decision: &Decision, action: &Action) {
    let Effect::Deliver(plan) = &decision.effect else {
        return;
    };
    assert!(plan.gates.reservation.quotas.len() <= QUOTAS_MAX);
    assert_ne!(plan.provider.as_deref(), Some(""));
    if let Some(payload) = &plan.payload {
        let changed = Action {
            payload: payload.clone(),
            ..action.clone()
        };
        let written = serde_json::to_vec(&changed).unwrap_or_default();
        let again = crate::parts::action(&written);
        assert_eq!(again, Some(changed), "a changed payload can be read");
    }
}
