//! The key by which a dedup or throttle rule distinguishes actions. Two keys are the same exactly if all their values
//! are equal as rules compare them, whether the values come from paths or from CEL.

use acteon_core::state::StateKey;
use compact_str::CompactString;

use crate::cel::Program;
use crate::facts::Facts;
use crate::fault::Fault;
use crate::hash::shortened;
use crate::path::FactPath;
use crate::value::FactValue;

/// The `key` of a rule.
#[derive(Debug)]
pub(crate) enum KeySpec {
    Default,
    Paths(Box<[FactPath]>),
    Cel(Box<Program>),
}

/// The values of a key.
struct KeyValues {
    text: CompactString,
    /// Whether one of them is not null.
    are_given: bool,
}

impl KeySpec {
    /// The dedup key: the values of the rule's key. If the rule has none, or all values are null, it is the action's
    /// own dedup key, else its id: actions without anything to compare are not duplicates.
    pub(crate) fn of_claim(&self, rule: &str, facts: &mut Facts<'_>) -> Result<StateKey, Fault> {
        let values = self.values(facts)?.filter(|values| values.are_given);
        let action = facts.action();
        let name = values.map_or_else(
            || match &action.dedup_key {
                Some(key) => prefixed("key=", key),
                None => prefixed("id=", &action.id),
            },
            |values| values.text,
        );
        Ok(StateKey::new(
            &action.namespace,
            &action.tenant,
            rule,
            &name,
        ))
    }

    /// The throttle key: the values of the rule's key, else the tenant. Actions whose values are all null share one
    /// limit.
    pub(crate) fn of_quota(&self, rule: &str, facts: &mut Facts<'_>) -> Result<StateKey, Fault> {
        let values = self.values(facts)?;
        let action = facts.action();
        let name = values.map_or_else(|| prefixed("tenant=", &action.tenant), |values| values.text);
        Ok(StateKey::new(
            &action.namespace,
            &action.tenant,
            rule,
            &name,
        ))
    }

    fn values(&self, facts: &mut Facts<'_>) -> Result<Option<KeyValues>, Fault> {
        let mut text = vec![b'['];
        let mut are_given = false;
        match self {
            Self::Default => return Ok(None),
            Self::Paths(paths) => {
                for (at, path) in paths.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    let value = facts.read(path);
                    are_given |= !matches!(value, FactValue::Nothing);
                    value.write_canonical(&mut text);
                }
            }
            Self::Cel(program) => are_given = program.write_canonical(facts, &mut text)?,
        }
        text.push(b']');
        let text = shortened(&String::from_utf8_lossy(&text));
        Ok(Some(KeyValues { text, are_given }))
    }
}

/// A key with a prefix, so that it never equals a list of values.
fn prefixed(prefix: &str, value: &str) -> CompactString {
    let mut name = CompactString::with_capacity(prefix.len() + value.len());
    name.push_str(prefix);
    name.push_str(value);
    shortened(&name)
}
