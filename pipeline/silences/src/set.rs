//! All silences that may still withhold something, found by namespace and tenant.

use std::cmp::Reverse;
use std::sync::Arc;

use acteon_core::silence::{EVERY_NAME, SilencePhase, SilenceSubject};
use acteon_core::state::StoredSilence;
use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::matcher::CompiledSilence;

/// Silences, compiled.
#[derive(Clone, Debug, Default)]
pub struct SilenceSet {
    /// By namespace and tenant; in each, the one that ends last comes first.
    by_names: HashMap<(CompactString, CompactString), Vec<SetEntry>>,
    all: Vec<Arc<StoredSilence>>,
}

#[derive(Clone, Debug)]
struct SetEntry {
    stored: Arc<StoredSilence>,
    compiled: CompiledSilence,
}

impl SilenceSet {
    /// Compiles these silences. Returns the ids of those whose matchers cannot be compiled beside the set without them.
    pub fn new(silences: Vec<Arc<StoredSilence>>) -> (Self, Vec<CompactString>) {
        let mut set = Self::default();
        let mut broken = Vec::new();
        for stored in silences {
            let silence = &stored.silence;
            match CompiledSilence::of(silence) {
                Ok(compiled) => {
                    let names = (silence.namespace.clone(), silence.tenant.clone());
                    let entries = set.by_names.entry(names).or_default();
                    entries.push(SetEntry {
                        stored: stored.clone(),
                        compiled,
                    });
                }
                Err(_) => broken.push(silence.id.clone()),
            }
            set.all.push(stored);
        }
        for entries in set.by_names.values_mut() {
            entries.sort_by_key(|entry| Reverse(entry.stored.silence.ends_at));
        }
        (set, broken)
    }

    /// True if it has none, so that no action needs to be compared.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, in the order in which they were given.
    pub fn all(&self) -> &[Arc<StoredSilence>] {
        &self.all
    }

    /// The silence in force that withholds this action; of several, the one that ends last.
    pub fn find(
        &self,
        subject: &SilenceSubject<'_>,
        now: Timestamp,
    ) -> Option<&Arc<StoredSilence>> {
        if self.is_empty() {
            return None;
        }
        let namespace = subject.namespace;
        let tenant = subject.tenant;
        let names = [
            (namespace, tenant),
            (namespace, EVERY_NAME),
            (EVERY_NAME, tenant),
            (EVERY_NAME, EVERY_NAME),
        ];
        let found = names
            .into_iter()
            .filter_map(|(namespace, tenant)| self.first(namespace, tenant, subject, now));
        found.max_by_key(|stored| stored.silence.ends_at)
    }

    fn first(
        &self,
        namespace: &str,
        tenant: &str,
        subject: &SilenceSubject<'_>,
        now: Timestamp,
    ) -> Option<&Arc<StoredSilence>> {
        let names = (namespace.into(), tenant.into());
        let mut entries = self.by_names.get(&names)?.iter();
        let withholds = |entry: &&SetEntry| {
            entry.stored.silence.phase(now) == SilencePhase::Active
                && entry.compiled.matches(subject)
        };
        entries.find(withholds).map(|entry| &entry.stored)
    }
}
