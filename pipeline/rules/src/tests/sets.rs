//! Sets as a whole: names, order, toggles, hash.

use serde_json::json;

use super::{action, file, listed, new_year, set};
use crate::{CompileSettings, RuleFile, RuleSet};

const TWO: &str = "
rules:
  - { name: a, description: first, priority: 3, condition: { all: [] }, action: { type: dedup } }
  - { name: b, priority: -1, enabled: false, condition: { all: [] }, action: { type: deny } }";

fn names(set: &RuleSet) -> Vec<String> {
    set.summaries()
        .iter()
        .map(|rule| rule.name.to_string())
        .collect()
}

fn one(name: &str) -> String {
    format!("rules: [{{name: {name}, condition: {{all: []}}, action: {{type: allow}}}}]")
}

#[test]
fn summaries_stand_in_the_order_of_evaluation() {
    let set = set(TWO);
    let all = set.summaries();
    assert_eq!(names(&set), ["b", "a"]);
    assert_eq!(
        (
            all[1].action_type,
            all[1].description.as_deref(),
            all[1].source.as_str()
        ),
        ("deduplicate", Some("first"), "rules.yaml")
    );
    assert_eq!(
        (all[0].enabled, all[1].enabled, all[0].priority),
        (false, true, -1)
    );
    assert!(set.contains("a") && !set.contains("c"));
}

#[test]
fn ties_of_priority_are_broken_by_file_name_then_place() {
    let files = [
        file("2.yaml", &one("x")),
        file("1.yml", &one("z")),
        file("10.yaml", &one("y")),
    ];
    let set = RuleSet::compile(&files, &CompileSettings::default()).unwrap();
    assert_eq!(names(&set), ["z", "y", "x"]);
}

#[test]
fn toggles_override_the_files_and_are_not_remembered() {
    let set = set(TWO);
    let verdict = |set: &RuleSet| {
        set.decide(
            &action(json!({})),
            new_year(),
            &crate::StateAnswers::default(),
        )
        .verdict
        .as_str()
    };
    assert_eq!(verdict(&set), "deduplicate");
    let toggled = set.with_toggles(&[("b".into(), true), ("gone".into(), true)]);
    assert_eq!(verdict(&toggled), "deny");
    assert!(toggled.summaries()[0].enabled);
    let other = toggled.with_toggles(&[("a".into(), false)]);
    assert_eq!(verdict(&other), "allow");
    assert_eq!(other.content_hash(), set.content_hash());
}

#[test]
fn the_hash_follows_names_and_texts_but_not_the_order_given() {
    let hash = |files: &[RuleFile]| {
        RuleSet::compile(files, &CompileSettings::default())
            .unwrap()
            .content_hash()
            .to_owned()
    };
    let a = file("a.yaml", &one("x"));
    let b = file("b.yaml", &one("y"));
    let both = hash(&[a.clone(), b.clone()]);
    assert_eq!(both.len(), 64);
    assert_eq!(both, hash(&[b.clone(), a.clone()]));
    assert_ne!(both, hash(std::slice::from_ref(&a)));
    assert_ne!(hash(&[file("c.yaml", &a.text)]), hash(&[a]));
}

#[test]
fn two_rules_of_one_name_are_refused_over_all_files() {
    let files = [file("a.yaml", &one("same")), file("b.yaml", &one("same"))];
    let problems = RuleSet::compile(&files, &CompileSettings::default()).unwrap_err();
    assert_eq!(
        listed(&problems),
        "b.yaml:1:16: the name `same` is taken by the rule at a.yaml:1"
    );
}

#[test]
fn a_set_knows_the_providers_it_names() {
    let text = "
rules:
  - { name: a, condition: { all: [] }, action: { type: reroute, target_provider: one } }
  - name: b
    condition: { all: [] }
    action: { type: reroute, targets: [{ provider: two, weight: 1 }, { provider: one, weight: 1 }] }
  - name: c
    condition: { all: [] }
    action: { type: throttle, max_count: 1, window_seconds: 1, on_exceeded: reroute, target_provider: three }";
    let set = set(text);
    assert_eq!(Vec::from_iter(set.providers()), ["one", "three", "two"]);
    assert!(RuleSet::empty().providers().is_empty());
}
