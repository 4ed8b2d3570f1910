//! The action `state_machine`: fingerprints as clients compute them, what is indexed, and what is refused.

use acteon_core::Action;
use acteon_core::state::Question;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{StateAnswers, action, file, listed, new_year};
use crate::hash::lower_hex;
use crate::{CompileSettings, Effect, ReportPlan, RuleSet};

fn compile(rules: &str) -> Result<RuleSet, String> {
    let settings = CompileSettings {
        state_machines: ["alert", "job"].map(Into::into).into(),
        ..CompileSettings::default()
    };
    let set = RuleSet::compile(&[file("rules.yaml", rules)], &settings);
    set.map_err(|problems| listed(&problems))
}

/// A rule for everything with these parameters.
fn rule(parameters: &str) -> String {
    format!(
        "rules: [{{ name: r, condition: {{ all: [] }}, action: {{ type: state_machine, {parameters} }} }}]"
    )
}

fn report(set: &RuleSet, action: &Action) -> ReportPlan {
    let decision = set.decide(action, new_year(), &StateAnswers::default());
    match decision.effect {
        Effect::Report(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn with_fields(fields: &Value) -> RuleSet {
    compile(&rule(&format!(
        "state_machine: alert, fingerprint_fields: {fields}"
    )))
    .unwrap()
}

fn fixtures(text: &str) -> Vec<Value> {
    let fixtures: Value = serde_json::from_str(text).unwrap();
    fixtures["cases"].as_array().unwrap().clone()
}

fn decoded(action: &Value) -> Action {
    let draft = acteon_core::decode::decode(&serde_json::to_vec(action).unwrap().into()).unwrap();
    draft
        .complete(&Default::default(), || "made".into(), new_year())
        .unwrap()
}

fn sha256(text: &str) -> String {
    lower_hex(&Sha256::digest(text.as_bytes()))
}

#[test]
fn fingerprints_are_those_that_clients_compute() {
    let cases = fixtures(include_str!(
        "../../../../clients/contract/fingerprints.json"
    ));
    assert!(cases.len() > 15);
    for case in cases {
        let set = with_fields(&case["fields"]);
        let action = decoded(&case["action"]);
        let found = report(&set, &action).event.fingerprint;
        assert_eq!(found.as_str(), case["fingerprint"], "{}", case["name"]);
        if let Some(text) = case["text"].as_str() {
            assert_eq!(sha256(text), case["fingerprint"], "{}", case["name"]);
        }
        let asked = set.ask(&action, new_year());
        let key = report(&set, &action).event.key();
        assert_eq!(asked[0].question, Question::Event(key), "{}", case["name"]);
    }
}

#[test]
fn group_keys_are_those_that_clients_compute() {
    for case in fixtures(include_str!("../../../../clients/contract/group-keys.json")) {
        let set = compile(&format!(
            "rules: [{{ name: r, condition: {{ all: [] }}, action: {{ type: group, group_by: {} }} }}]",
            case["fields"]
        ));
        let action = decoded(&case["action"]);
        let decision = set
            .unwrap()
            .decide(&action, new_year(), &StateAnswers::default());
        let Effect::Group(group) = decision.effect else {
            panic!("{:?}", decision.effect);
        };
        assert_eq!(
            group.group_key.as_str(),
            case["group_key"],
            "{}",
            case["name"]
        );
        let text = case["text"].as_str().unwrap();
        assert_eq!(sha256(text), case["group_key"], "{}", case["name"]);
    }
}

#[test]
fn the_default_fields_are_the_type_and_all_labels() {
    let default = compile(&rule("state_machine: alert")).unwrap();
    let named = with_fields(&json!(["action_type", "metadata"]));
    let action = action(json!({}));
    assert_eq!(
        report(&default, &action).event,
        report(&named, &action).event
    );
}

#[test]
fn fingerprint_fields_and_labels_are_indexed_under_their_names() {
    let set = with_fields(&json!(["metadata.env", "payload.host", "payload.none"]));
    let report = report(&set, &action(json!({ "host": "h1" })));
    let values: Vec<_> = report
        .values
        .iter()
        .map(|value| format!("{}={}", value.name, value.value))
        .collect();
    assert_eq!(values, ["env=prod", "payload.host=h1", "a.b=dotted"]);
    assert_eq!(
        (report.machine.as_str(), report.rule.as_str()),
        ("alert", "r")
    );
}

#[test]
fn what_earlier_rules_have_added_goes_with_the_report() {
    let set = compile(
        "
rules:
  - { name: d, continue: true, condition: { all: [] }, action: { type: dedup } }
  - { name: m, continue: true, condition: { all: [] }, action: { type: modify, changes: { host: h2 } } }
  - { name: p, continue: true, condition: { all: [] }, action: { type: reroute, target_provider: pager } }
  - { name: r, condition: { all: [] }, action: { type: state_machine, state_machine: job, fingerprint_fields: [payload.host] } }
  - { name: never, condition: { all: [] }, action: { type: suppress } }",
    )
    .unwrap();
    let report = report(&set, &action(json!({ "host": "h1" })));
    assert_eq!(report.plan.gates.reservation.claims.len(), 1);
    assert_eq!(report.plan.provider.as_deref(), Some("pager"));
    assert_eq!(
        report.plan.payload.unwrap().as_bytes(),
        "{\"host\":\"h2\"}".as_bytes()
    );
    assert_eq!(
        report.event.fingerprint.as_str(),
        sha256("payload.host=h2;")
    );
}

#[test]
fn rules_that_name_unknown_machines_or_wrong_fields_are_refused() {
    let cases = [
        (
            "state_machine: alrt",
            "unknown state machine `alrt`; did you mean `alert`?",
        ),
        (
            "fingerprint_fields: [metadata.a]",
            "the key `state_machine` is missing",
        ),
        (
            "state_machine: alert, fingerprint_fields: []",
            "expected 1 to 32 paths, found 0",
        ),
        (
            "state_machine: alert, fingerprint_fields: [metdata.a]",
            "did you mean `metadata`?",
        ),
        (
            "state_machine: alert, fields: [id]",
            "unknown parameter `fields`",
        ),
    ];
    for (parameters, expected) in cases {
        let message = compile(&rule(parameters)).unwrap_err();
        assert!(message.contains(expected), "{parameters}: {message}");
    }
}
