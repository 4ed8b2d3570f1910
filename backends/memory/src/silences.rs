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

/// When a silence ends, and its id.
type SilenceEnd = (Timestamp, CompactString);

#[derive(Default)]
pub(crate) struct SilenceTable {
    silences: BTreeMap<CompactString, Arc<StoredSilence>>,
    /// By namespace and tenant.
    kept: BTreeMap<(CompactString, CompactString), Kept>,
    /// All finished ones.
    finished: BTreeSet<SilenceEnd>,
    revision: u64,
}

/// The silences of a namespace and tenant.
#[derive(Default)]
struct Kept {
    unfinished: BTreeSet<SilenceEnd>,
    finished: BTreeSet<SilenceEnd>,
}

impl Kept {
    /// How many have not ended. No more are counted than the bound.
    fn live(&self, now: Timestamp, bound: usize) -> usize {
        let last_first = self.unfinished.iter().rev();
        let live = last_first.take_while(|(ends_at, _)| *ends_at > now);
        live.take(bound).count()
    }

    fn has_room(&self, write: &SilenceWrite, now: Timestamp) -> bool {
        let live_max = write.live_max;
        self.unfinished.len() < write.unfinished_max() && self.live(now, live_max) < live_max
    }
}

impl SilenceTable {
    pub(crate) fn write(&mut self, write: &SilenceWrite, now: Timestamp) -> SilenceAnswer {
        let silence = &write.silence;
        let present = self.find(&silence.id, now);
        let version = present.map_or(0, |present| present.version);
        if version != write.expected {
            return SilenceAnswer::Conflict(present.cloned());
        }
        let kept = self.kept.get(&names(silence));
        let has_room = kept.map_or(write.live_max > 0, |kept| kept.has_room(write, now));
        if version == 0 && !has_room {
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
            kept.finished.insert(end_of(silence));
            self.finished.insert(end_of(silence));
        } else {
            kept.unfinished.insert(end_of(silence));
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
            kept.finished.remove(&end_of(silence));
            self.finished.remove(&end_of(silence));
        } else {
            kept.unfinished.remove(&end_of(silence));
        }
        if kept.unfinished.is_empty() && kept.finished.is_empty() {
            self.kept.remove(&names);
        }
    }

    /// Keeps this many finished silences of the namespace and tenant of one: the ones that ended last.
    fn make_room(&mut self, like: &Silence, finished_max: usize) {
        let names = names(like);
        while let Some(kept) = self.kept.get(&names)
            && kept.finished.len() > finished_max
            && let Some((_, id)) = kept.finished.first()
        {
            let id = id.clone();
            self.remove(&id);
        }
    }

    fn forget_old(&mut self, now: Timestamp) {
        for _ in 0..FORGOTTEN_PER_WRITE {
            let oldest = self.finished.first().map(|(_, id)| id.clone());
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

fn end_of(silence: &Silence) -> SilenceEnd {
    (silence.ends_at, silence.id.clone())
}
