//! The fields that identify an event. Clients see the fingerprint and may compute it themselves.

use std::sync::Arc;

use acteon_core::state::EventValue;
use compact_str::{CompactString, ToCompactString};
use sha2::{Digest, Sha256};

use crate::canonical;
use crate::facts::Facts;
use crate::hash::lower_hex;
use crate::path::FactPath;

/// How many labels and fingerprint fields of an event are indexed.
const VALUES_MAX: usize = 64;
/// Longer values are not indexed.
const VALUE_BYTES_MAX: usize = 1024;

/// The paths whose values identify an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FingerprintFields(pub(crate) Arc<[FactPath]>);

impl FingerprintFields {
    /// The action's own fingerprint; else the lower-case hex of the SHA-256 over `<path>=<value>;` for each field in
    /// its order. A field that is absent or null has an empty value.
    pub(crate) fn fingerprint(&self, facts: &mut Facts<'_>) -> CompactString {
        if let Some(own) = &facts.action().fingerprint {
            return own.clone();
        }
        let mut text = Vec::new();
        for path in &*self.0 {
            text.extend_from_slice(canonical::name(path).as_bytes());
            text.push(b'=');
            canonical::write_text(path, facts, &mut text);
            text.push(b';');
        }
        lower_hex(&Sha256::digest(&text)).into()
    }

    /// The fields with their values, then the labels. A field that is a label is listed as that label.
    pub(crate) fn values(&self, facts: &mut Facts<'_>) -> Vec<EventValue> {
        let mut values = Vec::new();
        let mut add = |name: &str, value: &[u8]| {
            let is_known = values.iter().any(|known: &EventValue| known.name == name);
            if !is_known && values.len() < VALUES_MAX && value.len() <= VALUE_BYTES_MAX {
                values.push(EventValue {
                    name: name.to_compact_string(),
                    value: CompactString::from_utf8_lossy(value),
                });
            }
        };
        for path in &*self.0 {
            let mut value = Vec::new();
            if canonical::write_text(path, facts, &mut value) {
                add(canonical::label_name(path), &value);
            }
        }
        for (name, value) in facts.action().labels.iter() {
            add(name, value.as_bytes());
        }
        values
    }
}
