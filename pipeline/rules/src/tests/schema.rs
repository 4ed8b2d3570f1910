//! The schema for editors is the checked-in one, describes every key, and agrees with loading.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::compile;
use super::properties::rules;
use crate::problems::FileProblems;
use crate::schema;
use crate::yaml::{Data, Node, read};

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema()).unwrap());

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file as an editor validates it.
fn seen(text: &str) -> Value {
    let mut problems = FileProblems::of("test");
    let node = read(text, "anything", &mut problems);
    assert_eq!(problems.into_list(), []);
    as_json(&node.unwrap())
}

fn as_json(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(flag) => (*flag).into(),
        Data::Number(number) => number.get().to_json(),
        Data::Text(text) => text.as_str().into(),
        Data::List(items) => items.iter().map(as_json).collect(),
        Data::Map(entries) => {
            let members = entries.iter().map(|(k, v)| (k.text.clone(), as_json(v)));
            Value::Object(members.collect())
        }
    }
}

fn complaints(file: &Value) -> Vec<String> {
    let errors = VALIDATOR.iter_errors(file);
    errors
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect()
}

fn with_rule(name: &str, condition: &str, action: &str) -> Value {
    seen(&format!(
        "rules: [{{ name: {name}, condition: {condition}, action: {action} }}]"
    ))
}

#[test]
fn the_checked_in_schema_is_the_one_that_the_code_makes() {
    let path = repository().join("docs/rules.schema.json");
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = kept.lines().zip(made.lines());
    let differs = lines.position(|(kept, made)| kept != made);
    let line = differs.unwrap_or(kept.lines().count().min(made.lines().count())) + 1;
    assert!(
        kept == made,
        "docs/rules.schema.json is out of date, first in line {line}. If the change is intended, run \
         `UPDATE_SCHEMA=1 cargo test -p acteon-rules` and commit the file"
    );
}

#[test]
fn the_schema_is_one() {
    jsonschema::meta::validate(&schema()).unwrap();
}

/// Calls `see` with each schema that lists keys, and with the listed keys.
fn each_table<'s>(schema: &'s Value, see: &mut impl FnMut(&'s Value, &'s Map<String, Value>)) {
    if let Some(keys) = schema["properties"].as_object() {
        see(schema, keys);
    }
    let inner: Vec<&Value> = match schema {
        Value::Object(members) => members.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    for schema in inner {
        each_table(schema, see);
    }
}

#[test]
fn every_key_is_described_and_no_other_is_let_in() {
    let schema = schema();
    let mut described = 0;
    each_table(&schema, &mut |table, keys| {
        for (key, schema) in keys {
            let text = schema["description"].as_str();
            let Some(text) = text else {
                // `false`, or a reference to a description elsewhere.
                let says_little = schema.is_boolean() || schema["const"].is_string();
                assert!(says_little, "`{key}` is not described: {schema}");
                // The list of types describes the `type` of an action.
                assert!(*schema != true || key == "type", "`{key}` is not described");
                continue;
            };
            assert!(text.ends_with('.') && text.len() > 10, "{key}: {text}");
            described += 1;
        }
        let lists_all = table["title"].is_string() && table["title"] != "Action";
        assert!(
            !lists_all || table["additionalProperties"] == false,
            "{table}"
        );
    });
    assert!(described > 45, "{described}");
}

/// The rule files in a folder and its subfolders.
fn rule_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            rule_files(&path, files);
        } else if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            files.push(path);
        }
    }
}

#[test]
fn every_rule_file_of_the_repository_is_valid() {
    let mut files = Vec::new();
    for folder in ["examples/rules", "docs/cookbook"] {
        rule_files(&repository().join(folder), &mut files);
    }
    assert!(files.len() >= 3);
    for path in files {
        let found = complaints(&seen(&fs::read_to_string(&path).unwrap()));
        assert_eq!(found, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn what_a_rule_file_may_hold_is_valid() {
    let conditions = [
        "action.payload.amount > 5",
        "{ cel: 'action.payload.amount > 5' }",
        "{ all: [] }",
        "{ any: [{ not: { field: now, gt: 1 } }], all: [], field: time.hour, in: [1, x, null] }",
        "{ field: ' action.\"tenant\" ', ne: null, contains: true, exists: false }",
        "{ field: 'action.payload.\"a.b\".0', regex: x, matches: y, in_list: [], not_in: [1.5] }",
        "{ field: env.REGION, starts_with: a, ends_with: b, lte: z, lt: 1, gte: 1 }",
        "{ state_seen: k, within_seconds: 1 }",
        "{ state_counter: 'k {{ action.tenant }}', gte: 5 }",
        "{ state_counter: k, within_seconds: 60, gte: 5, not: { all: [] } }",
        "{ call: has_active_event, args: [a] }",
        "{ call: has_active_event, args: [a, 5] }",
        "{ call: get_event_state, args: [action.fingerprint], in: [a, b] }",
        "{ call: event_in_state, args: [a, b] }",
    ];
    let actions = [
        "{ type: allow }",
        "{ type: deny, reason: x }",
        "{ type: dedup, key: [payload.a, action.tenant, time.hour, id], ttl_seconds: 5 }",
        "{ type: throttle, max_count: 1, window_seconds: 1 }",
        "{ type: throttle, max_count: 1, window_seconds: 1, on_exceeded: reroute, target_provider: x }",
        "{ type: throttle, max_count: 1, window_seconds: 1, on_exceeded: reject, key: 'action.tenant' }",
        "{ type: reroute, target_provider: x }",
        "{ type: reroute, targets: [{ provider: x, weight: 1 }] }",
        "{ type: modify, changes: { a: null, b: [{ c: '{{ action.id }}' }] } }",
    ];
    for condition in conditions {
        let file = with_rule("r", condition, "{ type: allow }");
        assert_eq!(complaints(&file), Vec::<String>::new(), "{condition}");
    }
    for action in actions {
        let file = with_rule("r", "{ all: [] }", action);
        assert_eq!(complaints(&file), Vec::<String>::new(), "{action}");
    }
    let whole = "rules: [{ name: r, priority: -5, description: d, enabled: false, condition: { all: [] }, action: { type: allow }, continue: true, on_error: fail, timezone: Asia/Tokyo, metadata: { a: b } }]";
    assert_eq!(complaints(&seen(whole)), Vec::<String>::new());
}

const WRONG_CONDITIONS: &[&str] = &[
    "{}",
    "''",
    "5",
    "[]",
    "{ alll: [] }",
    "{ all: { field: now, gt: 1 } }",
    "{ not: [] }",
    "{ field: now }",
    "{ gt: 1 }",
    "{ all: [], gt: 1 }",
    "{ all: [], args: [] }",
    "{ all: [{ field: now, gtt: 1 }] }",
    "{ any: [{ all: [{ not: { field: now, gt: 1, x: 1 } }] }] }",
    "{ field: now, gt: true }",
    "{ field: now, eq: [1] }",
    "{ field: now, in: 5 }",
    "{ field: now, in: [[]] }",
    "{ field: now, exists: 'yes' }",
    "{ field: now, contains: null }",
    "{ field: now, starts_with: 5 }",
    "{ field: now, matches: 5 }",
    "{ field: now, gt: 1, within_seconds: 5 }",
    "{ field: payload.a, gt: 1 }",
    "{ field: action.tenent, eq: a }",
    "{ field: time.hours, gt: 1 }",
    "{ field: 5, gt: 1 }",
    "{ state_seen: k }",
    "{ state_seen: k, within_seconds: 5, eq: true }",
    "{ state_seen: k, within_seconds: 0 }",
    "{ state_seen: k, within_seconds: 5, state_counter: k, gt: 1 }",
    "{ state_seen: '', within_seconds: 5 }",
    "{ state_counter: k }",
    "{ state_counter: k, gt: 5, args: [x] }",
    "{ call: has_active_events, args: [a] }",
    "{ call: has_active_event }",
    "{ call: has_active_event, args: [] }",
    "{ call: has_active_event, args: [a, b, c] }",
    "{ call: has_active_event, args: [a], eq: true }",
    "{ call: get_event_state, args: [a] }",
    "{ call: event_in_state, args: [a, null] }",
];

const WRONG_ACTIONS: &[&str] = &[
    "suppress",
    "{}",
    "{ type: supress }",
    "{ type: group }",
    "{ type: group, group_by: [] }",
    "{ type: group, group_by: tenant }",
    "{ type: group, group_by: [tenant], max_group_size: 0 }",
    "{ type: group, group_by: [tenant], group_wait_seconds: -1 }",
    "{ type: group, group_by: [tenant], days: [Monday] }",
    "{ type: group, group_by: [tenant], flush_at: [\"9:00\"] }",
    "{ type: group, group_by: [tenant], flush_at: [\"09:00\"], days: [Mon] }",
    "{ type: group, group_by: [tenant], flush_at: [\"09:00\"], group_wait_seconds: 5 }",
    "{ type: allow, reason: x }",
    "{ type: deny, reason: 5 }",
    "{ type: dedup, ttl_seconds: 0 }",
    "{ type: dedup, key: [] }",
    "{ type: dedup, key: [metdata.x] }",
    "{ type: throttle, max_count: 1 }",
    "{ type: throttle, max_count: 1.5, window_seconds: 1 }",
    "{ type: throttle, max_count: 1, window_seconds: 1, on_exceeded: reroute }",
    "{ type: throttle, max_count: 1, window_seconds: 1, target_provider: x }",
    "{ type: throttle, max_count: 1, window_seconds: 1, on_exceeded: wait }",
    "{ type: reroute }",
    "{ type: reroute, target_provider: x, targets: [{ provider: x, weight: 1 }] }",
    "{ type: reroute, targets: [] }",
    "{ type: reroute, targets: [{ provider: x, wieght: 1 }] }",
    "{ type: reroute, targets: [x] }",
    "{ type: modify }",
    "{ type: modify, changes: null }",
    "{ type: modify, changes: {}, reason: x }",
];

const WRONG_RULES: &[&str] = &[
    "{ condition: { all: [] }, action: { type: allow } }",
    "{ name: '', condition: { all: [] }, action: { type: allow } }",
    "{ name: r, action: { type: allow } }",
    "{ name: r, condition: { all: [] } }",
    "{ name: r, condition: { all: [] }, action: { type: allow }, priorty: 1 }",
    "{ name: r, condition: { all: [] }, action: { type: allow }, priority: high }",
    "{ name: r, condition: { all: [] }, action: { type: allow }, continue: 1 }",
    "{ name: r, condition: { all: [] }, action: { type: allow }, on_error: ignore }",
    "{ name: r, condition: { all: [] }, action: { type: allow }, metadata: { a: 5 } }",
    "r",
];

#[test]
fn what_loading_refuses_by_its_shape_is_invalid() {
    let of_condition = |c| format!("{{ name: r, condition: {c}, action: {{ type: allow }} }}");
    let of_action = |a| format!("{{ name: r, condition: {{ all: [] }}, action: {a} }}");
    let rules = WRONG_CONDITIONS.iter().map(of_condition);
    let rules = rules.chain(WRONG_ACTIONS.iter().map(of_action));
    let rules = rules.chain(WRONG_RULES.iter().map(ToString::to_string));
    let files = ["{}", "[]", "{ rules: {} }", "{ rules: [], version: 1 }"].map(String::from);
    for file in rules.map(|rule| format!("rules: [{rule}]")).chain(files) {
        assert!(compile(&file).is_err(), "loading accepts {file}");
        assert!(!VALIDATOR.is_valid(&seen(&file)), "{file}");
    }
}

/// A typing mistake in a file.
#[derive(Clone, Debug)]
enum Slip {
    Add(String, Value),
    Rename(usize, String),
    Remove(usize),
    Replace(usize, Value),
}

fn slip() -> impl Strategy<Value = Slip> {
    let key = || {
        let known = prop::sample::select(vec![
            "name",
            "type",
            "reason",
            "field",
            "eq",
            "gt",
            "all",
            "any",
            "not",
            "args",
            "call",
            "state_seen",
            "within_seconds",
            "key",
            "changes",
            "continue",
            "targets",
            "weight",
            "metadata",
            "eqq",
            "x",
        ]);
        known.prop_map(String::from)
    };
    let value = || {
        prop::sample::select(vec![
            json!(null),
            json!(5),
            json!(true),
            json!("x"),
            json!([]),
            json!({}),
            json!(["x"]),
            json!({"all": []}),
            json!(2.5),
            json!("action.tenant"),
        ])
    };
    prop_oneof![
        (key(), value()).prop_map(|(key, value)| Slip::Add(key, value)),
        (any::<usize>(), key()).prop_map(|(at, key)| Slip::Rename(at, key)),
        any::<usize>().prop_map(Slip::Remove),
        (any::<usize>(), value()).prop_map(|(at, value)| Slip::Replace(at, value)),
    ]
}

/// The mappings in a value, outermost first.
fn mappings(value: &Value, pointers: &mut Vec<String>, at: &str) {
    match value {
        Value::Object(members) => {
            pointers.push(at.to_owned());
            for (key, inner) in members {
                mappings(inner, pointers, &format!("{at}/{key}"));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                mappings(inner, pointers, &format!("{at}/{index}"));
            }
        }
        _ => {}
    }
}

fn slipped(mut file: Value, at: usize, slip: &Slip) -> Value {
    let mut pointers = Vec::new();
    mappings(&file, &mut pointers, "");
    let mapping = file.pointer_mut(&pointers[at % pointers.len()]).unwrap();
    let mapping = mapping.as_object_mut().unwrap();
    let key = |at: usize| mapping.keys().nth(at % mapping.len().max(1)).cloned();
    match slip {
        Slip::Add(key, value) => {
            mapping.insert(key.clone(), value.clone());
        }
        Slip::Rename(at, new) => {
            if let Some(value) = key(*at).and_then(|old| mapping.shift_remove(&old)) {
                mapping.insert(new.clone(), value);
            }
        }
        Slip::Remove(at) => {
            key(*at).and_then(|old| mapping.shift_remove(&old));
        }
        Slip::Replace(at, value) => {
            if let Some(old) = key(*at) {
                mapping.insert(old, value.clone());
            }
        }
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_loading_accepts_is_valid(rules in rules()) {
        let file = json!({"rules": rules});
        prop_assert_eq!(complaints(&file), Vec::<String>::new());
    }

    #[test]
    fn the_schema_refuses_every_key_that_loading_does_not_know_and_nothing_that_it_accepts(
        rules in rules().prop_filter("some", |rules| !rules.is_empty()),
        slips in prop::collection::vec((any::<usize>(), slip()), 1..3),
    ) {
        let file = json!({"rules": rules});
        let file = slips.iter().fold(file, |file, (at, slip)| slipped(file, *at, slip));
        let found = complaints(&file);
        match compile(&file.to_string()) {
            Ok(_) => prop_assert_eq!(found, Vec::<String>::new(), "{}", file),
            Err(problems) => {
                let shape = ["unknown key", "unknown operator", "unknown parameter", "unknown action type", "the key", "expected"];
                let parts = [" needs an operator", "` needs `", " needs a `field`", "cannot be combined with"];
                let of_shape = problems.iter().any(|p| {
                    parts.iter().any(|part| p.message.contains(part))
                        || shape.iter().any(|start| p.message.starts_with(start))
                });
                let listed = super::listed(&problems);
                prop_assert!(!found.is_empty() || !of_shape, "{listed}\n{file}");
            }
        }
    }
}
