//! The part of the schema for conditions.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{names, properties, refer, refer_as};
use crate::condition::{
    EventFunction, FUNCTIONS, GRACE_SECONDS_MAX, KEY_BYTES_MAX, OPERATORS, STRUCTURE, SUBJECTS,
    WITHIN_SECONDS, WITHIN_SECONDS_MAX,
};
use crate::pattern::PATTERN_BYTES_MAX;
use crate::reads::Argument;
use crate::template::Template;

/// More arguments than any function takes.
const ARGUMENTS_MAX: usize = 8;

pub(super) fn define(definitions: &mut Map<String, Value>) {
    definitions.insert("condition".into(), condition());
    definitions.insert(
        "conditions".into(),
        json!({"type": "array", "items": refer("condition")}),
    );
    definitions.insert("cel".into(), cel());
    definitions.insert(
        "scalar".into(),
        json!({"type": ["string", "number", "boolean", "null"]}),
    );
}

fn cel() -> Value {
    json!({
        "title": "CEL",
        "description": "A CEL expression over `action`, `time`, `now` and `env`.",
        "type": "string",
        "minLength": 1,
        "examples": ["action.payload.amount > 100 && action.tenant == 'acme'"],
    })
}

/// A string or a mapping; the keywords for mappings do not apply to strings.
fn condition() -> Value {
    let subjects = SUBJECTS.map(|(name, _)| name);
    let own = SUBJECTS.iter().flat_map(|(_, own)| own.iter().copied());
    let keys = STRUCTURE.into_iter().chain(subjects).chain(own);
    let mut rules: Vec<Value> = SUBJECTS
        .iter()
        .map(|(name, own)| subject(name, own))
        .collect();
    rules.push(json!({"if": any_of(subjects), "else": {"properties": forbidden(None)}}));
    rules.extend(
        FUNCTIONS
            .iter()
            .map(|(name, function)| call(name, *function)),
    );
    json!({
        "title": "Condition",
        "description": "A mapping with `all`, `any`, `not`, or with one of `field`, `state_seen`, `state_counter`, `call` and its operators; or a string: CEL. All keys of a mapping must hold.",
        "type": ["object", "string"],
        "minLength": 1,
        "minProperties": 1,
        "properties": properties(keys.chain(OPERATORS), key),
        "additionalProperties": false,
        "allOf": rules,
    })
}

/// The keys that a subject allows and requires.
fn subject(name: &str, own: &[&str]) -> Value {
    let mut then = json!({"properties": forbidden(Some((name, own)))});
    match name {
        "field" | "state_counter" => then["anyOf"] = required(OPERATORS),
        "state_seen" => {
            then["required"] = json!(["within_seconds"]);
            forbid_operators(&mut then);
        }
        "call" => then["required"] = json!(["args"]),
        _ => {}
    }
    json!({"if": {"required": [name]}, "then": then})
}

/// The arguments of a function, and whether it takes operators.
fn call(name: &str, function: EventFunction) -> Value {
    let plain = |_| Argument::Plain(Template::Plain("".into()));
    let over = |count| function.over((0..count).map(plain).collect(), Duration::ZERO);
    let counts: Vec<_> = (0..=ARGUMENTS_MAX)
        .filter(|count| over(*count).is_ok())
        .collect();
    let args = json!({
        "description": format!("{}.", function.signature()),
        "minItems": counts.first(),
        "maxItems": counts.last(),
    });
    let mut then = json!({"properties": {"args": args}});
    let plain = json!({"not": {"type": "object"}});
    match function {
        EventFunction::HasActiveEvent => then["properties"]["args"]["prefixItems"] = json!([plain]),
        EventFunction::GetEventState | EventFunction::EventInState => {
            then["properties"]["args"]["items"] = plain;
        }
    }
    if function.is_compared() {
        then["anyOf"] = required(OPERATORS);
    } else {
        forbid_operators(&mut then);
    }
    json!({"if": {"properties": {"call": {"const": name}}, "required": ["call"]}, "then": then})
}

/// The keys that cannot be combined with this subject, or that need a subject if there is none.
fn forbidden(subject: Option<(&str, &[&str])>) -> Value {
    let beside = |key: &str| match subject {
        Some((name, own)) => key == name || own.contains(&key),
        None => false,
    };
    let theirs = SUBJECTS
        .iter()
        .flat_map(|(name, own)| std::iter::once(*name).chain(own.iter().copied()));
    let keys = theirs.filter(|key| !beside(key));
    match subject {
        Some(_) => properties(keys, |_| json!(false)),
        None => properties(keys.chain(OPERATORS), |_| json!(false)),
    }
}

fn forbid_operators(then: &mut Value) {
    for operator in OPERATORS {
        then["properties"][operator] = json!(false);
    }
}

/// At least one of these keys is present.
fn any_of<const N: usize>(keys: [&str; N]) -> Value {
    json!({"anyOf": required(keys)})
}

fn required<const N: usize>(keys: [&str; N]) -> Value {
    keys.map(|key| json!({"required": [key]})).to_vec().into()
}

fn key(name: &str) -> Value {
    match name {
        "all" => refer_as("conditions", "All of these must hold. An empty list holds."),
        "any" => refer_as(
            "conditions",
            "One of these must hold. An empty list never holds.",
        ),
        "not" => refer_as("condition", "This must not hold."),
        "cel" => refer_as("cel", "This CEL expression must be true."),
        "field" => refer_as(
            "path",
            "The value that the operators next to it test, such as `action.payload.amount`. For a value that is absent, null or of another type, every operator is false except `ne`, `not_in` and `exists: false`.",
        ),
        "state_seen" => state_key(
            "True if another action was counted under this key within `within_seconds`. May contain `{{ path }}` parts.",
        ),
        "state_counter" => state_key(
            "How many other actions were counted under this key within `within_seconds`; the operators next to it test the number. May contain `{{ path }}` parts.",
        ),
        "within_seconds" => json!({
            "description": format!("How far to look back, in seconds. The default for `state_counter` is {WITHIN_SECONDS}."),
            "type": "integer",
            "minimum": 1,
            "maximum": WITHIN_SECONDS_MAX,
        }),
        "call" => json!({
            "description": "A function that reads events; `args` are its arguments. `get_event_state` returns the name of a state, which operators test; the others return true or false.",
            "enum": names(&FUNCTIONS),
        }),
        "args" => json!({
            "description": "The arguments of the function under `call`. A string that begins with `action.`, `time.` or `env.` is a path; anything else is a literal.",
            "type": "array",
            "items": {
                "type": ["string", "number", "boolean", "object"],
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
        }),
        "grace_seconds" => json!({
            "description": "How long after its end an event still counts, in the state in which it was last active.",
            "type": "integer",
            "minimum": 0,
            "maximum": GRACE_SECONDS_MAX,
            "default": 0,
        }),
        operator => operand(operator),
    }
}

fn state_key(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "minLength": 1,
        "maxLength": KEY_BYTES_MAX,
        "examples": ["logins of {{ action.payload.user }}"],
    })
}

/// The operand of an operator.
fn operand(operator: &str) -> Value {
    let limit = |description| json!({"description": description, "type": ["number", "string"]});
    let text = |description| json!({"description": description, "type": "string"});
    let list = |description| json!({"description": description, "type": "array", "items": refer("scalar")});
    match operator {
        "eq" => refer_as(
            "scalar",
            "The value equals this. `null`: it is null or absent.",
        ),
        "ne" => refer_as("scalar", "The value does not equal this, or is absent."),
        "gt" => limit("The value is greater: numbers as numbers, strings by code point."),
        "gte" => limit("The value is greater or equal: numbers as numbers, strings by code point."),
        "lt" => limit("The value is less: numbers as numbers, strings by code point."),
        "lte" => limit("The value is less or equal: numbers as numbers, strings by code point."),
        "contains" => json!({
            "description": "The value is a string that contains this text, or a list that contains this item.",
            "type": ["string", "number", "boolean"],
        }),
        "starts_with" => text("The value is a string that starts with this."),
        "ends_with" => text("The value is a string that ends with this."),
        "matches" => pattern(
            "The value is a string in which this regular expression finds a match. Anchor it yourself: `^...$`.",
        ),
        "regex" => pattern("The same as `matches`."),
        "in" => list("The value is one of these."),
        "in_list" => list("The same as `in`."),
        "not_in" => list("The value is none of these, or absent."),
        "exists" => json!({
            "description": "`true`: the value exists and is not null. `false`: it does not, or is null.",
            "type": "boolean",
        }),
        _ => json!(true),
    }
}

fn pattern(description: &str) -> Value {
    json!({"description": description, "type": "string", "maxLength": PATTERN_BYTES_MAX})
}
