//! The key of a group: which actions belong together. Clients see it and may compute it themselves.

use acteon_core::Labels;
use sha2::{Digest, Sha256};

use crate::canonical;
use crate::facts::Facts;
use crate::hash::lower_hex;
use crate::path::FactPath;

/// The key of the group that an action belongs to, and the values that the group has in common.
pub(crate) struct KeyedGroup {
    /// Lower-case hex of the SHA-256 over `<namespace>:<tenant>:`, and `<path>=<value>;` for each field with a value.
    pub(crate) hash: String,
    /// The fields with a value. A label is under its own name, another field under its path.
    pub(crate) labels: Labels,
}

impl KeyedGroup {
    /// By the values at these paths, in their order. A field that is absent or null adds nothing.
    pub(crate) fn of(paths: &[FactPath], facts: &mut Facts<'_>) -> Self {
        let action = facts.action();
        let mut hash = Sha256::new();
        for part in [&action.namespace, &action.tenant] {
            hash.update(part.as_bytes());
            hash.update(b":");
        }
        let mut labels = Vec::new();
        let mut value = Vec::new();
        for path in paths {
            value.clear();
            if !canonical::write_text(path, facts, &mut value) {
                continue;
            }
            let name = canonical::name(path);
            hash.update(name.as_bytes());
            hash.update(b"=");
            hash.update(&value);
            hash.update(b";");
            labels.push((
                canonical::label_name(path),
                String::from_utf8_lossy(&value).into_owned(),
            ));
        }
        Self {
            hash: lower_hex(&hash.finalize()),
            labels: labels.into_iter().collect(),
        }
    }
}
