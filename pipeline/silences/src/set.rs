//! All silences that may still withhold something, found by namespace and tenant.

use std::cmp::Reverse;
use std::sync::Arc;

use acteon_core::silence::{EVERY_NAME, Silence, SilencePhase, SilenceSubject};
use acteon_core::state::StoredSilence;
use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::matcher::CompiledSilence;

/// Silences, compiled unless they have ended.
#[derive(Clone, Debug, Default)]
pub struct SilenceSet {
    /// By namespace and tenant; in each, the one that ends last comes first.
    by_names: HashMap<(CompactString, CompactString), Vec<SetEntry>>,
    all: Vec<Arc<StoredSilence>>,
}

#[derive(Clone, Debug)]
struct SetEntry {
    stored: Arc<StoredSilence>,
    /// Shared with the set before: expressions take much memory and time.
    compiled: Arc<CompiledSilence>,
}

impl SetEntry {
    /// True if the silence is still compared in the same way.
    fn fits(&self, silence: &Silence) -> bool {
        let own = &self.stored.silence;
        own.namespace == silence.namespace
            && own.tenant == silence.tenant
            && own.matchers == silence.matchers
    }
}

impl SilenceSet {
    /// The set of these silences. What this set has compiled is not compiled again, and an ended silence not at all: it
    /// withholds nothing. Returns the ids of those whose matchers cannot be compiled beside the set without them.
    pub fn renewed(
        &self,
        silences: Vec<Arc<StoredSilence>>,
        now: Timestamp,
    ) -> (Self, Vec<CompactString>) {
        let known = self.by_names.values().flatten();
        let known: HashMap<&str, &SetEntry> = known
            .map(|entry| (entry.stored.silence.id.as_str(), entry))
            .collect();
        let mut set = Self::default();
        let mut broken = Vec::new();
        for stored in silences {
            set.all.push(stored.clone());
            if stored.silence.phase(now) == SilencePhase::Expired {
                continue;
            }
            let before = known.get(stored.silence.id.as_str()).copied();
            if let Err(id) = set.compile(stored, before) {
                broken.push(id);
            }
        }
        for entries in set.by_names.values_mut() {
            entries.sort_by_key(|entry| Reverse(entry.stored.silence.ends_at));
        }
        (set, broken)
    }

    /// Adds a silence, compiled as it was before if that fits. `Err`: its id, if it cannot be compiled.
    fn compile(
        &mut self,
        stored: Arc<StoredSilence>,
        before: Option<&SetEntry>,
    ) -> Result<(), CompactString> {
        let silence = &stored.silence;
        let compiled = match before.filter(|before| before.fits(silence)) {
            Some(before) => before.compiled.clone(),
            None => CompiledSilence::of(silence)
                .map_err(|_| silence.id.clone())?
                .into(),
        };
        let names = (silence.namespace.clone(), silence.tenant.clone());
        let entries = self.by_names.entry(names).or_default();
        entries.push(SetEntry { stored, compiled });
        Ok(())
    }

    /// True if none of them may withhold anything, so that no action needs to be compared.
    pub fn is_empty(&self) -> bool {
        self.by_names.is_empty()
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
