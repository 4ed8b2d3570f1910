//! Silences by their ids. Each write forgets a few that ended long ago, and never one that is not finished.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use acteon_core::silence::Silence;
use acteon_core::state::{
    LiveSilences, SilenceAnswer, SilencePage, SilenceQuery, SilenceWrite, StoredSilence,
};
use compact_str::CompactString;
use jiff::Timestamp;

/// The finished silences that a write forgets at most.
const FORGOTTEN_PER_WRITE: usize = 4;

/// When a finished silence ended, and its id.
type Ended = (Timestamp, CompactString);

#[derive(Default)]
pub(crate) struct SilenceTable {
    silences: BTreeMap<CompactString, Arc<StoredSilence>>,
    /// By namespace and tenant.
    kept: BTreeMap<(CompactString, CompactString), Kept>,
    /// All finished ones.
    ended: BTreeSet<Ended>,
    revision: u64,
}

/// The silences of a namespace and tenant.
#[derive(Default)]
struct Kept {
    /// How many are not finished.
    live: usize,
    ended: BTreeSet<Ended>,
}

impl SilenceTable {
    pub(crate) fn write(&mut self, write: &SilenceWrite, now: Timestamp) -> SilenceAnswer {
        let silence = &write.silence;
        let present = self.find(&silence.id, now);
        let version = present.map_or(0, |present| present.version);
        if version != write.expected {
            return SilenceAnswer::Conflict(present.cloned());
        }
        let live = self.kept.get(&names(silence)).map_or(0, |kept| kept.live);
        if version == 0 && live >= write.live_max {
            return SilenceAnswer::Full;
        }
        self.remove(&silence.id);
        self.put(StoredSilence {
            version: version + 1,
            silence: silence.clone(),
        });
        self.revision += 1;
        self.make_room(silence, write.live_max);
        self.forget_old(now);
        SilenceAnswer::Written(version + 1)
    }

    pub(crate) fn find(&self, id: &str, now: Timestamp) -> Option<&Arc<StoredSilence>> {
        let found = self.silences.get(id);
        found.filter(|found| !found.is_forgotten(now))
    }

    pub(crate) fn live(&self, known: Option<u64>, now: Timestamp) -> LiveSilences {
        let live = self.silences.values();
        let live = live.filter(|stored| !stored.silence.is_finished);
        LiveSilences {
            now,
            revision: self.revision,
            silences: (known != Some(self.revision)).then(|| live.cloned().collect()),
        }
    }

    pub(crate) fn list(&self, query: &SilenceQuery, now: Timestamp) -> SilencePage {
        let before = match &query.after {
            Some(after) => Bound::Excluded(after.as_str()),
            None => Bound::Unbounded,
        };
        let from = (Bound::Unbounded, before);
        let is_listed = |stored: &&Arc<StoredSilence>| {
            !stored.is_forgotten(now) && query.accepts(&stored.silence, now)
        };
        let newest = self.silences.range::<str, _>(from).rev();
        let mut listed = newest.map(|(_, stored)| stored).filter(is_listed);
        let silences: Vec<_> = listed.by_ref().take(query.limit).cloned().collect();
        let last = silences.last().filter(|_| listed.next().is_some());
        SilencePage {
            now,
            next: last.map(|last| last.silence.id.clone()),
            silences,
        }
    }

    fn put(&mut self, stored: StoredSilence) {
        let silence = &stored.silence;
        let kept = self.kept.entry(names(silence)).or_default();
        if silence.is_finished {
            kept.ended.insert(ended(silence));
            self.ended.insert(ended(silence));
        } else {
            kept.live += 1;
        }
        self.silences.insert(silence.id.clone(), stored.into());
    }

    fn remove(&mut self, id: &str) {
        let Some(stored) = self.silences.remove(id) else {
            return;
        };
        let silence = &stored.silence;
        let names = names(silence);
        let kept = self.kept.entry(names.clone()).or_default();
        if silence.is_finished {
            kept.ended.remove(&ended(silence));
            self.ended.remove(&ended(silence));
        } else {
            kept.live -= 1;
        }
        if kept.live == 0 && kept.ended.is_empty() {
            self.kept.remove(&names);
        }
    }

    /// Keeps this many finished silences of the namespace and tenant of one: the ones that ended last.
    fn make_room(&mut self, like: &Silence, finished_max: usize) {
        let names = names(like);
        while let Some(kept) = self.kept.get(&names)
            && kept.ended.len() > finished_max
            && let Some((_, id)) = kept.ended.first()
        {
            let id = id.clone();
            self.remove(&id);
        }
    }

    fn forget_old(&mut self, now: Timestamp) {
        for _ in 0..FORGOTTEN_PER_WRITE {
            let oldest = self.ended.first().map(|(_, id)| id.clone());
            match oldest {
                Some(id) if self.find(&id, now).is_none() => self.remove(&id),
                _ => return,
            }
        }
    }
}

fn names(silence: &Silence) -> (CompactString, CompactString) {
    (silence.namespace.clone(), silence.tenant.clone())
}

fn ended(silence: &Silence) -> Ended {
    (silence.ends_at, silence.id.clone())
}
