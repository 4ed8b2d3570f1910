//! The dead letters, by their ids, which begin with the time they were read at.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::DeadLetter;
use acteon_core::scope::Scope;
use acteon_core::state::{DeadLetterPage, DeadLetterQuery};
use compact_str::CompactString;
use tokio::time::Instant;

use crate::config::StateConfig;

pub(crate) struct Letters {
    kept: BTreeMap<CompactString, (Arc<DeadLetter>, Instant)>,
    bytes: usize,
    letters_max: usize,
    bytes_max: usize,
    retention: Duration,
}

impl Letters {
    pub(crate) fn new(config: &StateConfig) -> Self {
        Self {
            kept: BTreeMap::new(),
            bytes: 0,
            letters_max: config.max_dead_letters.get(),
            bytes_max: config.max_dead_letter_bytes,
            retention: config.dead_letter_retention(),
        }
    }

    /// Stores letters that are not there yet. Returns how many others had to make room.
    pub(crate) fn store<'a>(
        &mut self,
        letters: impl Iterator<Item = &'a Arc<DeadLetter>>,
        now: Instant,
    ) -> usize {
        for letter in letters {
            if let Entry::Vacant(place) = self.kept.entry(letter.id.clone()) {
                self.bytes += letter.raw.len();
                place.insert((letter.clone(), now));
            }
        }
        self.forget_old(now);
        self.evict()
    }

    pub(crate) fn list(&mut self, query: &DeadLetterQuery, now: Instant) -> DeadLetterPage {
        self.forget_old(now);
        let mut page = DeadLetterPage::default();
        let matching = self
            .kept
            .values()
            .rev()
            .filter(|(letter, stored)| self.is_kept(*stored, now) && matches(letter, query));
        for (letter, _) in matching {
            page.total += 1;
            let on_page = query.after.as_ref().is_none_or(|after| letter.id < *after);
            if on_page && page.letters.len() < query.limit {
                page.letters.push(letter.clone());
            } else if on_page {
                page.more = true;
            }
        }
        page
    }

    pub(crate) fn find(&self, scope: &Scope, id: &str, now: Instant) -> Option<Arc<DeadLetter>> {
        let (letter, stored) = self.kept.get(id)?;
        (self.is_kept(*stored, now) && covers(scope, letter)).then(|| letter.clone())
    }

    pub(crate) fn delete(&mut self, scope: &Scope, id: &str, now: Instant) -> bool {
        self.find(scope, id, now).is_some_and(|letter| {
            self.bytes -= letter.raw.len();
            self.kept.remove(id).is_some()
        })
    }

    fn is_kept(&self, stored: Instant, now: Instant) -> bool {
        now.duration_since(stored) < self.retention
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.kept.first_entry()
            && now.duration_since(oldest.get().1) >= self.retention
        {
            self.bytes -= oldest.remove().0.raw.len();
        }
    }

    fn evict(&mut self) -> usize {
        let before = self.kept.len();
        while self.kept.len() > self.letters_max || self.bytes > self.bytes_max {
            let Some((_, (letter, _))) = self.kept.pop_first() else {
                break;
            };
            self.bytes -= letter.raw.len();
        }
        before - self.kept.len()
    }
}

fn covers(scope: &Scope, letter: &DeadLetter) -> bool {
    scope.covers(&letter.namespace, &letter.tenant, &letter.action_type)
}

fn matches(letter: &DeadLetter, query: &DeadLetterQuery) -> bool {
    let is = |filter: &Option<CompactString>, value: &CompactString| {
        filter.as_ref().is_none_or(|wanted| wanted == value)
    };
    query.kind.is_none_or(|kind| kind == letter.kind)
        && is(&query.namespace, &letter.namespace)
        && is(&query.tenant, &letter.tenant)
        && covers(&query.scope, letter)
}
