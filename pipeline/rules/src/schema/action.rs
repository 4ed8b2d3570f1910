//! The part of the schema that says what a rule does.

use serde_json::{Map, Value, json};

use super::{names, properties, refer, refer_as};
use crate::rule::action::{
    ACTION_TYPES, DEDUP_TTL, KEY_PATHS_MAX, Kind, ON_EXCEEDED, SECONDS_MAX, TARGET_KEYS,
    TARGETS_MAX, WEIGHT_MAX,
};

pub(super) fn define(definitions: &mut Map<String, Value>) {
    definitions.insert("action".into(), action());
    definitions.insert("target".into(), target());
    definitions.insert("provider".into(), provider());
}

/// The types that there are, without those that are only reserved.
fn types() -> impl Iterator<Item = (&'static str, Kind)> {
    let there = |(_, kind): &(_, Kind)| *kind != Kind::NotYet;
    ACTION_TYPES.into_iter().filter(there)
}

fn action() -> Value {
    let names: Vec<_> = types().map(|(name, _)| name).collect();
    let told: Vec<_> = types()
        .map(|(name, _)| format!("`{name}`: {}.", effect(name)))
        .collect();
    json!({
        "title": "Action",
        "type": "object",
        "properties": {"type": {"description": told.join("\n\n"), "enum": names}},
        "required": ["type"],
        "allOf": types().map(|(name, kind)| parameters(name, kind)).collect::<Vec<_>>(),
    })
}

fn effect(name: &str) -> &'static str {
    match name {
        "allow" => "deliver",
        "deny" | "suppress" => "deliver nothing",
        "deduplicate" => "deliver once per key and window",
        "dedup" => "the same as `deduplicate`",
        "throttle" => "deliver at most `max_count` in `window_seconds` per key",
        "reroute" => "deliver by another provider",
        "modify" => "deliver with another payload",
        _ => "",
    }
}

/// What stands beside the type when it is this one, and nothing else.
fn parameters(name: &str, kind: Kind) -> Value {
    let parameter = |key: &str| match (kind, key) {
        (_, "type") => json!(true),
        (Kind::Throttle, "target_provider") => refer_as(
            "provider",
            "Who delivers what is over the limit, with `on_exceeded: reroute`.",
        ),
        _ => described(kind, key),
    };
    let mut then = json!({
        "properties": properties(kind.parameters().iter().copied(), parameter),
        "additionalProperties": false,
    });
    match kind {
        Kind::Throttle => {
            then["required"] = json!(["max_count", "window_seconds"]);
            then["if"] = json!({"properties": {"on_exceeded": {"const": "reroute"}}, "required": ["on_exceeded"]});
            then["then"] = json!({"required": ["target_provider"]});
            then["else"] = json!({"properties": {"target_provider": false}});
        }
        Kind::Reroute => {
            then["oneOf"] = json!([{"required": ["target_provider"]}, {"required": ["targets"]}]);
        }
        Kind::Modify => then["required"] = json!(["changes"]),
        _ => {}
    }
    json!({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then})
}

fn described(kind: Kind, key: &str) -> Value {
    match key {
        "reason" => json!({
            "description": "Why, for whoever dispatched the action.",
            "type": "string",
        }),
        "ttl_seconds" => seconds(
            "How long a key is remembered once something was delivered under it.",
            Some(DEDUP_TTL.as_secs()),
        ),
        "window_seconds" => seconds("The length of the window, which slides.", None),
        "max_count" => json!({
            "description": "How many actions of one key may be delivered in any window.",
            "type": "integer",
            "minimum": 1,
            "maximum": u32::MAX,
        }),
        "key" => key_of(match kind {
            Kind::Throttle => {
                "What is counted apart: paths whose values make the key, or CEL. Without it: the tenant."
            }
            _ => {
                "What makes two actions the same: paths whose values make the key, or CEL. Without it: the action's `dedup_key`, else its `id`."
            }
        }),
        "on_exceeded" => json!({
            "description": "What happens to an action that is over the limit. `reject`: it is throttled. `reroute`: `target_provider` delivers it.",
            "enum": names(&ON_EXCEEDED),
            "default": "reject",
        }),
        "target_provider" => refer_as(
            "provider",
            "Who delivers in place of the action's own provider.",
        ),
        "targets" => json!({
            "description": "Providers among which actions are divided by weight, always the same way for the same id.",
            "type": "array",
            "items": refer("target"),
            "minItems": 1,
            "maxItems": TARGETS_MAX,
        }),
        "changes" => json!({
            "description": "An RFC 7396 merge patch of the payload: keys are set, `null` removes one. Strings may hold `{{ path }}`; a string that is nothing but one path takes over the value as it is.",
            "type": ["object", "array", "string", "number", "boolean"],
        }),
        _ => json!(true),
    }
}

fn key_of(description: &str) -> Value {
    json!({
        "description": description,
        "type": ["array", "string"],
        "items": refer("key_path"),
        "minItems": 1,
        "maxItems": KEY_PATHS_MAX,
        "minLength": 1,
    })
}

fn seconds(description: &str, default: Option<u64>) -> Value {
    let mut schema = json!({
        "description": description,
        "type": "integer",
        "minimum": 1,
        "maximum": SECONDS_MAX,
    });
    if let Some(default) = default {
        schema["default"] = default.into();
    }
    schema
}

fn target() -> Value {
    let key = |name: &str| match name {
        "provider" => refer_as("provider", "Who delivers."),
        "weight" => json!({
            "description": "Its share: this weight of the sum of all.",
            "type": "integer",
            "minimum": 1,
            "maximum": WEIGHT_MAX,
        }),
        _ => json!(true),
    };
    json!({
        "title": "Target",
        "type": "object",
        "properties": properties(TARGET_KEYS, key),
        "required": TARGET_KEYS,
        "additionalProperties": false,
    })
}

fn provider() -> Value {
    json!({
        "title": "Provider",
        "description": "The name of a configured provider.",
        "type": "string",
        "minLength": 1,
        "maxLength": acteon_core::decode::NAME_BYTES_MAX,
    })
}
