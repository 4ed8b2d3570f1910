//! Tests of whole rule sets, and the functions they share.

mod decisions;
mod errors;
mod event_functions;
mod event_reports;
mod explanations;
mod groups;
mod guide;
mod keys;
mod limits;
mod lint;
mod naive;
mod operators;
mod properties;
mod schema;
mod sets;
mod state;
mod state_answers;

use acteon_core::rules::RuleProblem;
use acteon_core::{Action, Labels, Payload};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{CompileSettings, Decision, ExplainRequest, RuleFile, RuleSet, StateAnswers};

/// A Thursday, 2026-01-01 22:30:15 UTC.
pub(crate) fn new_year() -> Timestamp {
    "2026-01-01T22:30:15Z".parse().unwrap()
}

pub(crate) fn action(payload: impl Into<Value>) -> Action {
    Action {
        id: "a-1".into(),
        namespace: "shop".into(),
        tenant: "acme".into(),
        provider: "mail".into(),
        action_type: "order".into(),
        payload: Payload::from_value(&payload.into()).unwrap(),
        labels: Labels::from_iter([("env", "prod"), ("a.b", "dotted")]),
        dedup_key: None,
        status: None,
        fingerprint: None,
        starts_at: None,
        ends_at: None,
        created_at: new_year().into(),
        trace_context: Labels::default(),
    }
}

/// An action whose payload is exactly this text.
pub(crate) fn raw_action(payload: &str) -> Action {
    let message = format!(
        r#"{{"id":"a-1","namespace":"shop","tenant":"acme","provider":"mail","action_type":"order","payload":{payload}}}"#
    );
    let draft = acteon_core::decode::decode(&message.into()).unwrap();
    let made = || unreachable!("it has an id");
    draft
        .complete(&Default::default(), made, new_year())
        .unwrap()
}

/// An action at new year.
pub(crate) fn case<'c>(action: &'c Action, answers: &'c StateAnswers) -> ExplainRequest<'c> {
    ExplainRequest {
        action,
        now: new_year(),
        answers,
    }
}

fn file(name: &str, text: &str) -> RuleFile {
    RuleFile {
        name: name.into(),
        text: text.into(),
    }
}

fn compile(text: &str) -> Result<RuleSet, Vec<RuleProblem>> {
    RuleSet::compile(&[file("rules.yaml", text)], &CompileSettings::default())
}

pub(crate) fn set(text: &str) -> RuleSet {
    compile(text).unwrap_or_else(|problems| panic!("{}", listed(&problems)))
}

fn listed(problems: &[RuleProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Whether a condition, written in flow style, holds.
fn holds(condition: &str, action: &Action) -> bool {
    holds_given(condition, action, &StateAnswers::default())
        .matched_rule
        .is_some()
}

/// The decision of a rule with this condition.
fn holds_given(condition: &str, action: &Action, gathered: &StateAnswers) -> Decision {
    let text = format!("rules: [{{name: r, condition: {condition}, action: {{type: suppress}}}}]");
    set(&text).decide(action, new_year(), gathered)
}

fn decide(text: &str, action: &Action) -> Decision {
    set(text).decide(action, new_year(), &StateAnswers::default())
}

#[test]
fn without_rules_everything_is_allowed() {
    let decision =
        RuleSet::empty().decide(&action(json!({})), new_year(), &StateAnswers::default());
    assert_eq!(decision.verdict, acteon_core::Verdict::Allow);
    assert_eq!(decision.matched_rule, None);
    assert_eq!(
        decision.effect,
        crate::Effect::Deliver(crate::DeliveryPlan::default())
    );
}
