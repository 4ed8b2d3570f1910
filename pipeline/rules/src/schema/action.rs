//! The part of the schema for the action of a rule.

use serde_json::{Map, Value, json};

use super::{group, names, properties, refer, refer_as};
use crate::rule::action::{
    ACTION_TYPES, ActionKind, DEDUP_TTL, FINGERPRINT_FIELDS, KEY_PATHS_MAX, ON_EXCEEDED,
    SECONDS_MAX, TARGET_KEYS, TARGETS_MAX, WEIGHT_MAX,
};

pub(super) fn define(definitions: &mut Map<String, Value>) {
    definitions.insert("action".into(), action());
    definitions.insert("target".into(), target());
    definitions.insert("provider".into(), provider());
}

fn action() -> Value {
    let names = ACTION_TYPES.map(|(name, _)| name);
    let effects: Vec<_> = ACTION_TYPES
        .iter()
        .map(|(name, _)| format!("`{name}`: {}.", effect(name)))
        .collect();
    json!({
        "title": "Action",
        "type": "object",
        "properties": {"type": {"description": effects.join("\n\n"), "enum": names}},
        "required": ["type"],
        "allOf": ACTION_TYPES.iter().map(|(name, kind)| parameters(name, *kind)).collect::<Vec<_>>(),
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
        "group" => "deliver one summary of all actions with the same values",
        "state_machine" => "report an event to a state machine; its notices are delivered",
        _ => "",
    }
}

/// The parameters that this type takes.
fn parameters(name: &str, kind: ActionKind) -> Value {
    let parameter = |key: &str| match (kind, key) {
        (_, "type") => json!(true),
        (ActionKind::Throttle, "target_provider") => refer_as(
            "provider",
            "The provider for actions over the limit, with `on_exceeded: reroute`.",
        ),
        _ => described(kind, key),
    };
    let mut then = json!({
        "properties": properties(kind.parameters().iter().copied(), parameter),
        "additionalProperties": false,
    });
    match kind {
        ActionKind::Throttle => {
            then["required"] = json!(["max_count", "window_seconds"]);
            then["if"] = json!({"properties": {"on_exceeded": {"const": "reroute"}}, "required": ["on_exceeded"]});
            then["then"] = json!({"required": ["target_provider"]});
            then["else"] = json!({"properties": {"target_provider": false}});
        }
        ActionKind::Reroute => {
            then["oneOf"] = json!([{"required": ["target_provider"]}, {"required": ["targets"]}]);
        }
        ActionKind::Modify => then["required"] = json!(["changes"]),
        ActionKind::Group => {
            then["required"] = json!(["group_by"]);
            then["if"] = json!({"required": ["flush_at"]});
            then["then"] = json!({"properties": {"group_wait_seconds": false, "group_interval_seconds": false}});
            then["else"] = json!({"properties": {"days": false}});
        }
        ActionKind::StateMachine => then["required"] = json!(["state_machine"]),
        _ => {}
    }
    json!({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then})
}

fn described(kind: ActionKind, key: &str) -> Value {
    match key {
        "reason" => json!({
            "description": "The reason, for the producer of the action.",
            "type": "string",
        }),
        "ttl_seconds" => seconds(
            "How long a key is remembered after a delivery.",
            Some(DEDUP_TTL.as_secs()),
        ),
        "window_seconds" => seconds("The length of the sliding window.", None),
        "max_count" => json!({
            "description": "How many actions with one key may be delivered in any window.",
            "type": "integer",
            "minimum": 1,
            "maximum": u32::MAX,
        }),
        "key" => key_of(match kind {
            ActionKind::Throttle => {
                "Which actions share a limit: paths whose values form the key, or CEL. Default: the tenant."
            }
            _ => {
                "What identifies duplicates: paths whose values form the key, or CEL. Default: the action's `dedup_key`, else its `id`."
            }
        }),
        "on_exceeded" => json!({
            "description": "What happens to an action over the limit. `reject`: it is throttled. `reroute`: `target_provider` delivers it.",
            "enum": names(&ON_EXCEEDED),
            "default": "reject",
        }),
        "target_provider" => refer_as(
            "provider",
            "The provider that delivers instead of the action's own.",
        ),
        "targets" => json!({
            "description": "Providers among which actions are divided by weight; the same id always goes to the same provider.",
            "type": "array",
            "items": refer("target"),
            "minItems": 1,
            "maxItems": TARGETS_MAX,
        }),
        "state_machine" => json!({
            "description": "The name of a configured state machine.",
            "type": "string",
            "minLength": 1,
        }),
        "fingerprint_fields" => json!({
            "description": "Paths whose values identify the event, unless the action has a `fingerprint`.",
            "type": "array",
            "items": refer("key_path"),
            "minItems": 1,
            "maxItems": KEY_PATHS_MAX,
            "default": FINGERPRINT_FIELDS,
        }),
        "changes" => json!({
            "description": "An RFC 7396 merge patch of the payload: keys are set, `null` removes one. Strings may contain `{{ path }}`; a string that consists of one path yields the value with its type.",
            "type": ["object", "array", "string", "number", "boolean"],
        }),
        _ => group::described(key),
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
        "provider" => refer_as("provider", "The provider."),
        "weight" => json!({
            "description": "Its share: this weight divided by the sum of all weights.",
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
