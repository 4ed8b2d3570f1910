//! `ordering_key`: paths into an action whose values form its ordering key if its message has no key.

use std::hash::{BuildHasher, Hash, Hasher};

use acteon_core::Action;
use acteon_core::action_path::{ActionPath, PathError};

/// The paths that form the ordering key of an action.
#[derive(Clone, Debug, Default)]
pub struct OrderingKey(Vec<ActionPath>);

impl OrderingKey {
    /// Parses paths such as `payload.customer`, `metadata.region` or `action.tenant`, written as in rules.
    ///
    /// # Errors
    /// The first invalid path.
    pub fn of<S: AsRef<str>>(paths: &[S]) -> Result<Self, PathError> {
        let paths = paths.iter().map(|path| ActionPath::parse(path.as_ref()));
        paths.collect::<Result<_, _>>().map(Self)
    }

    /// The hash of the values at the paths; `None` if no path has a value.
    pub fn hash(&self, action: &Action, hasher: &impl BuildHasher) -> Option<u64> {
        let mut state = hasher.build_hasher();
        let mut is_there = false;
        for path in &self.0 {
            let text = path.find(action).map(|found| found.into_distinct_text());
            text.hash(&mut state);
            is_there |= text.is_some();
        }
        is_there.then(|| state.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use acteon_testkit::action;
    use serde_json::{Value, json};

    use super::*;

    fn key(paths: &[&str]) -> OrderingKey {
        OrderingKey::of(paths).unwrap()
    }

    fn with(payload: &Value) -> Action {
        let mut action = action("a").envelope().action;
        action.payload = acteon_core::Payload::from_value(payload).unwrap();
        action
    }

    #[test]
    fn actions_with_equal_values_at_the_paths_have_one_key_and_others_have_another() {
        let hasher = RandomState::new();
        let key = key(&["payload.customer.id", "action.metadata.region"]);
        let hash = |customer: Value, region: &str| {
            let mut action = with(&json!({"at": [1], "customer": {"id": customer}}));
            action.labels.insert("region", region);
            key.hash(&action, &hasher).unwrap()
        };
        assert_eq!(hash(json!("a"), "eu"), hash(json!("a"), "eu"));
        assert_ne!(hash(json!("a"), "eu"), hash(json!("b"), "eu"));
        assert_ne!(hash(json!("a"), "eu"), hash(json!("a"), "us"));
        assert_ne!(hash(json!("1"), "eu"), hash(json!(1), "eu"));
    }

    #[test]
    fn an_action_with_nothing_at_the_paths_has_no_key() {
        let hasher = RandomState::new();
        let payloads = [
            json!(null),
            json!({"a": null}),
            json!("a"),
            json!([{"a": 1}]),
        ];
        for payload in payloads {
            let action = with(&payload);
            let found = key(&["payload.a", "metadata.none", "dedup_key"]).hash(&action, &hasher);
            assert_eq!(found, None, "{payload}");
        }
    }
}
