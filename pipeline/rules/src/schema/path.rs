//! The part of the schema that says what a path is.

use serde_json::{Map, Value, json};

use crate::moment::TIME_FIELDS;
use crate::path::{ACTION_FIELDS, LENGTH_MAX, PAYLOAD};

/// The fields that have fields of their own.
const OPEN: [&str; 3] = [PAYLOAD, "metadata", "trace_context"];

pub(super) fn define(definitions: &mut Map<String, Value>) {
    definitions.insert("path".into(), path("action\\.", "action."));
    definitions.insert("key_path".into(), path("(action\\.)?", ""));
}

/// `head` is what stands before an action's field, as a regular expression; `proposed` what an editor writes there.
fn path(head: &str, proposed: &str) -> Value {
    let fields = ACTION_FIELDS.map(|(name, _)| name);
    let times = TIME_FIELDS.map(|(name, _)| name);
    let paths = fields.map(|name| format!("{proposed}{name}"));
    let moments = times.map(|name| format!("time.{name}"));
    let mut known: Vec<String> = paths.into_iter().chain(moments).collect();
    known.extend([format!("{proposed}{PAYLOAD}"), "now".to_owned()]);
    let (open, fields, times) = (OPEN.join("|"), fields.join("|"), times.join("|"));
    // What is quoted may be written in many ways, and is left to loading.
    let pattern = format!(
        "^\\s*({head}(({open})(\\..+)?|{fields})|time\\.({times})|now|env\\..+|.*\".*)\\s*$"
    );
    json!({
        "title": "Path",
        "description": "Where a value stands: `action.<field>`, `action.metadata.<label>`, `action.payload.<key>.<index>`, `time.<part>`, `now` (unix seconds) or `env.<NAME>` (as far as `[rules] environment` lists it). A number is a place in a list. A key with dots is quoted: `action.payload.\"a.b\"`.",
        "type": "string",
        "maxLength": LENGTH_MAX,
        "anyOf": [{"enum": known}, {"pattern": pattern}],
    })
}
