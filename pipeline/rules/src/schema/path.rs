//! The part of the schema for paths.

use serde_json::{Map, Value, json};

use crate::moment::TIME_FIELDS;
use crate::path::{ACTION_FIELDS, LENGTH_MAX, PAYLOAD};

/// The fields that have fields themselves.
const OPEN: [&str; 3] = [PAYLOAD, "metadata", "trace_context"];

pub(super) fn define(definitions: &mut Map<String, Value>) {
    definitions.insert("path".into(), path("action\\.", "action."));
    definitions.insert("key_path".into(), path("(action\\.)?", ""));
}

/// `head` is the regular expression before a field of the action; `proposed` is the text that an editor inserts.
fn path(head: &str, proposed: &str) -> Value {
    let fields = ACTION_FIELDS.map(|(name, _)| name);
    let times = TIME_FIELDS.map(|(name, _)| name);
    let paths = fields.map(|name| format!("{proposed}{name}"));
    let moments = times.map(|name| format!("time.{name}"));
    let mut known: Vec<String> = paths.into_iter().chain(moments).collect();
    known.extend([format!("{proposed}{PAYLOAD}"), "now".to_owned()]);
    let open = OPEN.join("|");
    let fields = fields.join("|");
    let times = times.join("|");
    // A quoted name can be written in many ways; loading checks it.
    let pattern = format!(
        "^\\s*({head}(({open})(\\..+)?|{fields})|time\\.({times})|now|env\\..+|.*\".*)\\s*$"
    );
    json!({
        "title": "Path",
        "description": "A value: `action.<field>`, `action.metadata.<label>`, `action.payload.<key>.<index>`, `time.<part>`, `now` (unix seconds) or `env.<NAME>` (if `[rules] environment` lists it). A number is an index into a list. Quote a key with dots: `action.payload.\"a.b\"`.",
        "type": "string",
        "maxLength": LENGTH_MAX,
        "anyOf": [{"enum": known}, {"pattern": pattern}],
    })
}
