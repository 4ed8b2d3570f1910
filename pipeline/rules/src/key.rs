//! What a dedup or throttle rule tells actions apart by, written so that no two lists of values read the same.

use acteon_core::state::StateKey;
use compact_str::{CompactString, ToCompactString};
use sha2::{Digest, Sha256};

use crate::cel::Program;
use crate::facts::Facts;
use crate::fault::Fault;
use crate::hex::lower_hex;
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

impl Key {
    /// The dedup key: the listed values; the action's own key or id when none is listed, or when the action has none
    /// of them, since actions that lack what tells them apart are not the same.
    pub(crate) fn of_claim(&self, rule: &str, facts: &mut Facts<'_>) -> Result<StateKey, Fault> {
        let listed = match self {
            Self::Default => None,
            Self::Paths(paths) => joined(paths, facts),
            Self::Cel(program) => Some(shortened(&program.key(facts)?)),
        };
        let action = facts.action();
        let name = listed.unwrap_or_else(|| {
            let (kind, own) = match &action.dedup_key {
                Some(key) => ("key=", key),
                None => ("id=", &action.id),
            };
            let mut name = CompactString::with_capacity(kind.len() + own.len());
            name.push_str(kind);
            name.push_str(own);
            shortened(&name)
        });
        let (namespace, tenant) = (&action.namespace, &action.tenant);
        Ok(StateKey::new(namespace, tenant, rule, &name))
    }

    /// The throttle key: the listed values, else the tenant. Actions that have none of the values share one limit.
    pub(crate) fn of_quota(&self, rule: &str, facts: &mut Facts<'_>) -> Result<StateKey, Fault> {
        let action = facts.action();
        let name = match self {
            Self::Default => action.tenant.clone(),
            Self::Paths(paths) => joined(paths, facts).unwrap_or_default(),
            Self::Cel(program) => shortened(&program.key(facts)?),
        };
        let (namespace, tenant) = (&action.namespace, &action.tenant);
        Ok(StateKey::new(namespace, tenant, rule, &name))
    }
}

/// Each value after its length, `-` for one that is absent or null. None when all are.
fn joined(paths: &[Path], facts: &mut Facts<'_>) -> Option<CompactString> {
    let (mut all, mut value) = (Vec::new(), Vec::new());
    let mut any = false;
    for path in paths {
        value.clear();
        if facts.write_text(path, &mut value) {
            any = true;
            all.extend_from_slice(value.len().to_compact_string().as_bytes());
            all.push(b':');
            all.extend_from_slice(&value);
        } else {
            all.push(b'-');
        }
    }
    any.then(|| shortened(&String::from_utf8_lossy(&all)))
}

pub(crate) fn shortened(name: &str) -> CompactString {
    if name.len() <= PLAIN_BYTES_MAX {
        return name.into();
    }
    lower_hex(&Sha256::digest(name.as_bytes())).into()
}
