//! A CEL expression and a payload: the expression is refused, or has the same result in every place a rule allows.
//!
//! Parts: the expression, and the payload. The rule with the text as its condition is compared with rules that have it
//! inside `not`, `all` and `any`, and with a rule whose ternary prevents the lowering to native conditions.

use acteon_core::Action;
use acteon_core::rules::{Evaluation, RuleResult};
use acteon_rules::{RuleFile, RuleSet, StateAnswers};
use serde_json::{Value, json};

use crate::Reading;
use crate::decide::judge;
use crate::parts::{sample, split, text};
use crate::rules::settings;

/// Reasons to refuse only one of two texts: the longer text exceeds a bound sooner.
const BOUNDS: [&str; 3] = ["steps", "bytes", "MiB"];

pub(crate) fn feed(input: &[u8]) -> Reading {
    let [expression, payload] = split(input);
    let expression = text(expression);
    let action = action(payload);
    let alone = json!(expression);
    let cel = json!({ "cel": expression });
    let forms = [
        alone,
        json!({ "not": cel }),
        json!({ "all": [cel, cel] }),
        json!({ "any": [cel, cel] }),
    ];
    let Some(set) = compile(&forms) else {
        return Reading::Refused;
    };
    let results = results(&set, &action);
    let [alone, not, all, any] = results[..] else {
        panic!("a result for each rule");
    };
    assert_eq!(negated(alone), not, "inside `not`");
    assert_eq!(alone, all, "inside `all`");
    assert_eq!(alone, any, "inside `any`");
    unlowered(&expression, &action, alone);
    Reading::Accepted
}

/// The expression inside one that native conditions cannot express.
fn unlowered(expression: &str, action: &Action, alone: RuleResult) {
    let wrapped = json!(format!("(\n{expression}\n) ? true : false"));
    let Some(set) = compile(&[wrapped]) else {
        return;
    };
    let evaluation = judge(&set, action, &StateAnswers::default());
    let [rule] = &evaluation.trace[..] else {
        panic!("a result for the rule");
    };
    let is_bound = rule.result == RuleResult::Error
        && rule
            .error
            .as_deref()
            .is_some_and(|reason| BOUNDS.iter().any(|bound| reason.contains(bound)));
    if !is_bound {
        assert_eq!(
            alone,
            rule.result,
            "the lowered and the interpreted form differ: {:?}",
            rule.why()
        );
    }
}

fn negated(result: RuleResult) -> RuleResult {
    match result {
        RuleResult::Matched => RuleResult::NotMatched,
        RuleResult::NotMatched => RuleResult::Matched,
        other => other,
    }
}

/// A set with one rule per condition; every rule is evaluated.
fn compile(conditions: &[Value]) -> Option<RuleSet> {
    let rule = |(number, condition): (usize, &Value)| {
        json!({
            "name": format!("rule-{number}"),
            "condition": condition,
            "continue": true,
            "action": { "type": "allow" },
        })
    };
    let rules: Vec<Value> = conditions.iter().enumerate().map(rule).collect();
    let file = RuleFile {
        name: "cel.yaml".into(),
        text: json!({ "rules": rules }).to_string(),
    };
    match RuleSet::compile(&[file], &settings()) {
        Ok(set) => Some(set),
        Err(problems) => {
            assert!(!problems.is_empty() && problems.iter().all(|p| !p.message.is_empty()));
            None
        }
    }
}

fn results(set: &RuleSet, action: &Action) -> Vec<RuleResult> {
    let evaluation: Evaluation = judge(set, action, &StateAnswers::default());
    evaluation.trace.iter().map(|rule| rule.result).collect()
}

/// The sample action with this payload, if the payload is valid.
fn action(payload: &[u8]) -> Action {
    let sample = sample();
    let list = [br#"{"payload":"#, payload, b"}"].concat();
    let payload = crate::parts::action(&list).map(|action| action.payload);
    Action {
        payload: payload.unwrap_or_else(|| sample.payload.clone()),
        ..sample
    }
}
