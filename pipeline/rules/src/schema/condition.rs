//! The part of the schema that says what a condition is.

use serde_json::{Map, Value, json};

use super::{names, properties, refer, refer_as};
use crate::condition::{
    FUNCTIONS, Function, KEY_BYTES_MAX, OPERATORS, PATTERN_BYTES_MAX, STRUCTURE, SUBJECTS,
    WITHIN_SECONDS, WITHIN_SECONDS_MAX,
};
use crate::template::Template;

/// The most arguments that a function could take.
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

/// A string or a mapping; the keywords for mappings say nothing of strings.
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
        "description": "A mapping with `all`, `any`, `not`, or with one of `field`, `state_seen`, `state_counter`, `call` and what is expected of it; or a string: CEL. What stands side by side must all hold.",
        "type": ["object", "string"],
        "minLength": 1,
        "minProperties": 1,
        "properties": properties(keys.chain(OPERATORS), key),
        "additionalProperties": false,
        "allOf": rules,
    })
}

/// What may stand beside a subject and what must.
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

/// What a function takes, and whether its answer is compared with something.
fn call(name: &str, function: Function) -> Value {
    let over = |count| function.over((0..count).map(|_| Template::Plain("".into())).collect());
    let counts: Vec<_> = (0..=ARGUMENTS_MAX)
        .filter(|count| over(*count).is_ok())
        .collect();
    let args = json!({
        "description": format!("{}.", function.signature()),
        "minItems": counts.first(),
        "maxItems": counts.last(),
    });
    let mut then = json!({"properties": {"args": args}});
    if function.is_compared() {
        then["anyOf"] = required(OPERATORS);
    } else {
        forbid_operators(&mut then);
    }
    json!({"if": {"properties": {"call": {"const": name}}, "required": ["call"]}, "then": then})
}

/// The keys that do not go with a subject, or that go with none.
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

/// At least one of these keys is there.
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
            "The value that the operators beside it are said of, such as `action.payload.amount`. A value that is absent, null or of another type makes each of them false but `ne`, `not_in` and `exists: false`.",
        ),
        "state_seen" => state_key(
            "True when another action was noted under this key within `within_seconds`. May hold `{{ path }}` parts.",
        ),
        "state_counter" => state_key(
            "How many other actions were noted under this key within `within_seconds`; the operators beside it are said of the number. May hold `{{ path }}` parts.",
        ),
        "within_seconds" => json!({
            "description": format!("How far back is looked, in seconds. `state_counter` takes {WITHIN_SECONDS} when nothing is said."),
            "type": "integer",
            "minimum": 1,
            "maximum": WITHIN_SECONDS_MAX,
        }),
        "call" => json!({
            "description": "A function that reads events; its arguments stand under `args`. `get_event_state` answers the name of a state, which operators are said of; the others are true or false.",
            "enum": names(&FUNCTIONS),
        }),
        "args" => json!({
            "description": "The arguments of the function under `call`. A string that begins with `action.`, `time.` or `env.` is a path; anything else stands for itself.",
            "type": "array",
            "items": {"type": ["string", "number", "boolean"]},
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

/// What stands behind an operator.
fn operand(operator: &str) -> Value {
    let limit = |description| json!({"description": description, "type": ["number", "string"]});
    let text = |description| json!({"description": description, "type": "string"});
    let list = |description| json!({"description": description, "type": "array", "items": refer("scalar")});
    match operator {
        "eq" => refer_as("scalar", "The value is this. `null`: it is null or absent."),
        "ne" => refer_as("scalar", "The value is anything but this, or absent."),
        "gt" => limit("The value is greater: numbers as numbers, strings by code point."),
        "gte" => limit("The value is greater or equal: numbers as numbers, strings by code point."),
        "lt" => limit("The value is less: numbers as numbers, strings by code point."),
        "lte" => limit("The value is less or equal: numbers as numbers, strings by code point."),
        "contains" => json!({
            "description": "The value is a string with this part, or a list with this member.",
            "type": ["string", "number", "boolean"],
        }),
        "starts_with" => text("The value is a string that begins so."),
        "ends_with" => text("The value is a string that ends so."),
        "matches" => pattern(
            "The value is a string in which this regular expression finds something. Anchor it yourself: `^...$`.",
        ),
        "regex" => pattern("The same as `matches`."),
        "in" => list("The value is one of these."),
        "in_list" => list("The same as `in`."),
        "not_in" => list("The value is none of these, or absent."),
        "exists" => json!({
            "description": "`true`: the value is there and not null. `false`: it is not.",
            "type": "boolean",
        }),
        _ => json!(true),
    }
}

fn pattern(description: &str) -> Value {
    json!({"description": description, "type": "string", "maxLength": PATTERN_BYTES_MAX})
}
