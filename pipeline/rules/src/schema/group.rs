//! The part of the schema for the parameters of a group rule.

use acteon_groups::{DAYS_MAX, TIMES_MAX};
use serde_json::{Value, json};

use super::{refer, refer_as};
use crate::moment::WEEKDAYS;
use crate::rule::action::KEY_PATHS_MAX;
use crate::rule::group::{
    GROUP_INTERVAL, GROUP_SECONDS_MAX, GROUP_SIZE, GROUP_SIZE_MAX, GROUP_WAIT,
};

pub(super) fn described(key: &str) -> Value {
    match key {
        "group_by" => json!({
            "description": "Paths. Actions with equal values, of one namespace and tenant, are in one group.",
            "type": "array",
            "items": refer("key_path"),
            "minItems": 1,
            "maxItems": KEY_PATHS_MAX,
        }),
        "group_wait_seconds" => seconds(
            "How long after its first member a group is flushed.",
            0,
            GROUP_WAIT.as_secs(),
        ),
        "group_interval_seconds" => seconds(
            "The shortest time from one flush of a group to the next.",
            1,
            GROUP_INTERVAL.as_secs(),
        ),
        "max_group_size" => json!({
            "description": "How many members a summary lists. A group that reaches it is flushed at once, unless it has a `flush_at`.",
            "type": "integer",
            "minimum": 1,
            "maximum": GROUP_SIZE_MAX,
            "default": GROUP_SIZE,
        }),
        "flush_at" => json!({
            "description": "The times of day at which groups are flushed, in the rule's time zone, instead of waits.",
            "type": "array",
            "items": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
            "minItems": 1,
            "maxItems": TIMES_MAX,
        }),
        "days" => json!({
            "description": "The days of `flush_at`. Default: every day.",
            "type": "array",
            "items": {"enum": WEEKDAYS},
            "minItems": 1,
            "maxItems": DAYS_MAX,
        }),
        "unless" => refer_as(
            "condition",
            "Asked again for each member at the flush. A member for which it holds is left out.",
        ),
        "provider" => refer_as(
            "provider",
            "Delivers the summary. Default: the provider of the first member.",
        ),
        "template" => json!({
            "description": "The payload of the summary. Its strings are Jinja templates over `group_id`, `group_key`, `rule`, `event_count`, `omitted`, `events`, `labels`, `first_at`, `last_at` and `flushed_at`; a string of one expression yields its value.",
        }),
        _ => json!(true),
    }
}

fn seconds(description: &str, least: u64, default: u64) -> Value {
    json!({
        "description": description,
        "type": "integer",
        "minimum": least,
        "maximum": GROUP_SECONDS_MAX,
        "default": default,
    })
}
