//! The values that the templates of a provider see: the action, and its payload and labels under short names.

use std::collections::BTreeMap;

use acteon_core::Action;
use acteon_core::decode::{Defaults, decode};
use jiff::Timestamp;
use minijinja::Value;
use minijinja::value::Serde;

/// The names of the values.
pub(crate) const NAMES: [&str; 3] = ["action", "payload", "labels"];

/// The values for an action: `action`, `payload` and `labels`.
pub fn action_values(action: &Action) -> BTreeMap<String, Value> {
    // Payloads are JSON text, which a template cannot look into.
    let json = serde_json::to_vec(action).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
    let whole = Value::from(Serde(&json));
    let part = |name| whole.get_attr(name).unwrap_or_default();
    let payload = part("payload");
    let labels = part("metadata");
    let parts = NAMES.into_iter().zip([whole, payload, labels]);
    parts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An action of `provider` from JSON that may lack any field: what an `example.json` holds. Without JSON, one with an
/// empty payload.
///
/// # Errors
/// What is wrong with the JSON.
pub fn example_action(
    provider: &str,
    action_type: Option<&str>,
    json: Option<&str>,
) -> Result<Action, String> {
    let defaults = Defaults {
        namespace: Some("example".into()),
        tenant: Some("example".into()),
        provider: Some(provider.into()),
        action_type: Some(action_type.unwrap_or("example").into()),
    };
    let json = json.unwrap_or(r#"{"payload": {}}"#).to_owned();
    let draft = decode(&json.into()).map_err(|error| error.to_string())?;
    let id = || "01980000-0000-7000-8000-000000000000".into();
    let action = draft.complete(&defaults, id, Timestamp::UNIX_EPOCH);
    action.map_err(|error| error.to_string())
}
