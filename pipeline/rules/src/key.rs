//! What a dedup or throttle rule tells actions apart by. Keys are the same exactly when all their values are equal as
//! rules compare them, whether paths or CEL lead to the values.

use acteon_core::state::StateKey;
use compact_str::CompactString;
use sha2::{Digest, Sha256};

use crate::cel::Program;
use crate::facts::{Facts, Seen, look_at};
use crate::fault::Fault;
use crate::hex::lower_hex;
use crate::json;
use crate::path::Path;

/// Longer keys stand in the state as their hash.
const PLAIN_BYTES_MAX: usize = 256;

/// The `key` of a rule.
#[derive(Debug)]
pub(crate) enum Key {
    Default,
    Paths(Box<[Path]>),
    Cel(Box<Program>),
}

/// The values of a key as text, and whether there is one that is not null.
struct Values {
    text: CompactString,
    are_given: bool,
}

impl Key {
    /// The dedup key: the listed values; the action's own key or id when none is listed, or when the action has none
    /// of them, since actions that lack what tells them apart are not the same.
    pub(crate) fn of_claim(&self, rule: &str, facts: &mut Facts<'_>) -> Result<StateKey, Fault> {
        let listed = self.values(facts)?.filter(|values| values.are_given);
        let action = facts.action();
        let name = listed.map_or_else(
            || match &action.dedup_key {
                Some(key) => own("key=", key),
                None => own("id=", &action.id),
            },
            |values| values.text,
        );
        let (namespace, tenant) = (&action.namespace, &action.tenant);
        Ok(StateKey::new(namespace, tenant, rule, &name))
    }

    /// The throttle key: the listed values, else the tenant. Actions that have none of the values share one limit.
    pub(crate) fn of_quota(&self, rule: &str, facts: &mut Facts<'_>) -> Result<StateKey, Fault> {
        let listed = self.values(facts)?;
        let action = facts.action();
        let name = listed.map_or_else(|| own("tenant=", &action.tenant), |values| values.text);
        let (namespace, tenant) = (&action.namespace, &action.tenant);
        Ok(StateKey::new(namespace, tenant, rule, &name))
    }

    fn values(&self, facts: &mut Facts<'_>) -> Result<Option<Values>, Fault> {
        let (mut text, mut are_given) = (vec![b'['], false);
        match self {
            Self::Default => return Ok(None),
            Self::Paths(paths) => {
                for (at, path) in paths.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    let seen = facts.read(path);
                    are_given |= !matches!(seen, Seen::Nothing);
                    write_exactly(seen, &mut text);
                }
            }
            Self::Cel(program) => are_given = program.write_exactly(facts, &mut text)?,
        }
        text.push(b']');
        let text = shortened(&String::from_utf8_lossy(&text));
        Ok(Some(Values { text, are_given }))
    }
}

/// Appends a value as JSON of one form: what is written is the same exactly when the values are equal.
pub(crate) fn write_exactly(seen: Seen<'_>, out: &mut Vec<u8>) {
    match seen {
        Seen::Nothing => out.extend_from_slice(b"null"),
        Seen::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        Seen::Number(number) => number.write_exactly(out),
        Seen::Text(text) => json::write_text(text, out),
        Seen::List(list) => {
            out.push(b'[');
            for (at, item) in json::items(list).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                look_at(item, |seen| write_exactly(seen, out));
            }
            out.push(b']');
        }
        Seen::Object(object) => {
            out.push(b'{');
            for (at, (name, value)) in json::sorted_members(object).iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json::write_text(name, out);
                out.push(b':');
                look_at(value, |seen| write_exactly(seen, out));
            }
            out.push(b'}');
        }
    }
}

/// What an action is told apart by that has no values, under a name of its kind.
fn own(kind: &str, value: &str) -> CompactString {
    let mut name = CompactString::with_capacity(kind.len() + value.len());
    name.push_str(kind);
    name.push_str(value);
    shortened(&name)
}

/// The name, or its hash when it is long.
pub(crate) fn shortened(name: &str) -> CompactString {
    if name.len() <= PLAIN_BYTES_MAX {
        return name.into();
    }
    let hash = lower_hex(&Sha256::digest(name.as_bytes()));
    CompactString::from("sha256=") + &hash
}
