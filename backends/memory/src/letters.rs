//! The dead letters in the order in which they were stored. Each kind has its own bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use acteon_core::attempt::AttemptRecord;
use acteon_core::dead_letter::{DeadLetterBound, FullPolicy};
use acteon_core::scope::Scope;
use acteon_core::state::{DeadLetterPage, DeadLetterQuery, FillLevel, Settlement};
use acteon_core::{DeadLetter, DeadLetterBounds, DeadLetterKind, DeliveryProgress};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::table::nanos;

/// The time at which a letter was stored, in nanoseconds since 1970. Numbers are unique and rise in the order of
/// storing, regardless of ids and timestamps.
type Number = u64;

pub(crate) struct Letters {
    poison: LettersOfKind,
    exhausted: LettersOfKind,
    places: HashMap<CompactString, (DeadLetterKind, Number)>,
    last: Number,
    started: Instant,
    started_at: u64,
}

/// The result of storing the letters of a call.
#[derive(Default)]
pub(crate) struct StoreResult {
    /// The positions of the settlements whose letter did not fit, in rising order.
    pub(crate) refused: Vec<usize>,
    /// The number of letters evicted.
    pub(crate) evicted: usize,
}

impl Letters {
    pub(crate) fn new(bounds: &DeadLetterBounds, bytes_max: usize, started_at: Timestamp) -> Self {
        let of = |kind| LettersOfKind::new(bounds.of(kind), bytes_max);
        Self {
            poison: of(DeadLetterKind::Poison),
            exhausted: of(DeadLetterKind::Exhausted),
            places: HashMap::new(),
            last: 0,
            started: Instant::now(),
            started_at: u64::try_from(started_at.as_nanosecond()).unwrap_or_default(),
        }
    }

    /// Stores the letters that are not stored yet.
    pub(crate) fn store(&mut self, settlements: &[Settlement]) -> StoreResult {
        self.forget_old();
        let mut stored = StoreResult::default();
        for (at, settlement) in settlements.iter().enumerate() {
            let Some(letter) = &settlement.dead_letter else {
                continue;
            };
            if self.places.contains_key(&letter.id) {
                continue;
            }
            match self.make_room(letter) {
                Some(evicted) => {
                    stored.evicted += evicted;
                    self.put(letter);
                }
                None => stored.refused.push(at),
            }
        }
        stored
    }

    pub(crate) fn list(&mut self, query: &DeadLetterQuery) -> DeadLetterPage {
        self.forget_old();
        let mut page = DeadLetterPage::default();
        let mut last = None;
        let mut total = 0;
        for (number, letter) in self.last_stored_first() {
            if !matches(letter, query) {
                continue;
            }
            total += 1;
            if query.after.is_some_and(|after| number >= after) {
                continue;
            }
            if page.letters.len() < query.limit {
                page.letters.push(letter.clone());
                last = Some(number);
            } else {
                page.next = last;
            }
        }
        page.total = Some(total);
        page
    }

    pub(crate) fn find(&mut self, scope: &Scope, id: &str) -> Option<Arc<DeadLetter>> {
        self.forget_old();
        let (kind, number) = self.places.get(id)?;
        let letter = self.of(*kind).kept.get(number)?;
        letter.is_inside(scope).then(|| letter.clone())
    }

    pub(crate) fn set_progress(
        &mut self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> bool {
        let Some(mut letter) = self.find(scope, id) else {
            return false;
        };
        let Some(action) = &mut Arc::make_mut(&mut letter).action else {
            return false;
        };
        action.progress = Some(Box::new(progress.clone()));
        let Some((kind, number)) = self.places.get(id).copied() else {
            return false;
        };
        let of_kind = self.of_mut(kind);
        of_kind.bytes += bytes_of(&letter);
        let before = of_kind.kept.insert(number, letter);
        of_kind.bytes -= before.map_or(0, |before| bytes_of(&before));
        true
    }

    pub(crate) fn delete(&mut self, scope: &Scope, id: &str) -> bool {
        let found = self.find(scope, id);
        let place = found.and_then(|_| self.places.remove(id));
        place.is_some_and(|(kind, number)| self.of_mut(kind).take(number).is_some())
    }

    pub(crate) fn level(&mut self, kind: DeadLetterKind) -> FillLevel {
        self.forget_old();
        let of_kind = self.of(kind);
        FillLevel {
            kept: of_kind.kept.len() as u64,
            full: of_kind.full(kind),
        }
    }

    /// Makes room for a letter. Returns the number of evicted letters, or `None` if no room can be made.
    fn make_room(&mut self, letter: &DeadLetter) -> Option<usize> {
        let kind = letter.kind();
        let bytes = bytes_of(letter);
        let mut evicted = 0;
        while !self.of(kind).fits(bytes) {
            match self.of(kind).bound.when_full {
                FullPolicy::Block => {
                    self.of_mut(kind).refused = true;
                    return None;
                }
                FullPolicy::EvictOldest => {
                    let oldest = *self.of(kind).kept.first_key_value()?.0;
                    self.forget(kind, oldest);
                    evicted += 1;
                }
            }
        }
        Some(evicted)
    }

    fn put(&mut self, letter: &Arc<DeadLetter>) {
        let number = self.now().max(self.last + 1);
        self.last = number;
        self.places
            .insert(letter.id.clone(), (letter.kind(), number));
        let of_kind = self.of_mut(letter.kind());
        of_kind.bytes += bytes_of(letter);
        of_kind.kept.insert(number, letter.clone());
    }

    fn forget_old(&mut self) {
        let now = self.now();
        for kind in DeadLetterKind::ALL {
            let retention = nanos(self.of(kind).bound.retention);
            while let Some((number, _)) = self.of(kind).kept.first_key_value()
                && now.saturating_sub(*number) >= retention
            {
                let number = *number;
                self.forget(kind, number);
            }
        }
    }

    fn forget(&mut self, kind: DeadLetterKind, number: Number) {
        if let Some(letter) = self.of_mut(kind).take(number) {
            self.places.remove(&letter.id);
        }
    }

    fn last_stored_first(&self) -> impl Iterator<Item = (Number, &Arc<DeadLetter>)> {
        let mut poison = self.poison.kept.iter().rev().peekable();
        let mut exhausted = self.exhausted.kept.iter().rev().peekable();
        let next = move || match (poison.peek(), exhausted.peek()) {
            (Some(one), Some(other)) if one.0 > other.0 => poison.next(),
            (Some(_), None) => poison.next(),
            (_, Some(_)) | (None, None) => exhausted.next(),
        };
        std::iter::from_fn(next).map(|(number, letter)| (*number, letter))
    }

    fn now(&self) -> u64 {
        self.started_at
            .saturating_add(nanos(self.started.elapsed()))
    }

    fn of(&self, kind: DeadLetterKind) -> &LettersOfKind {
        match kind {
            DeadLetterKind::Poison => &self.poison,
            DeadLetterKind::Exhausted => &self.exhausted,
        }
    }

    fn of_mut(&mut self, kind: DeadLetterKind) -> &mut LettersOfKind {
        match kind {
            DeadLetterKind::Poison => &mut self.poison,
            DeadLetterKind::Exhausted => &mut self.exhausted,
        }
    }
}

/// The letters of one kind.
struct LettersOfKind {
    kept: BTreeMap<Number, Arc<DeadLetter>>,
    bytes: usize,
    bytes_max: usize,
    bound: DeadLetterBound,
    /// The last letter did not fit, and none has been removed since.
    refused: bool,
}

impl LettersOfKind {
    fn new(bound: DeadLetterBound, bytes_max: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            bound,
            refused: false,
        }
    }

    /// A letter larger than the bound is kept if it is the only one. Otherwise its source would wait forever.
    fn fits(&self, bytes: usize) -> bool {
        let fits = self.bytes + bytes <= self.bytes_max || self.kept.is_empty();
        fits && self.kept.len() < self.bound.max.get()
    }

    fn take(&mut self, number: Number) -> Option<Arc<DeadLetter>> {
        let letter = self.kept.remove(&number)?;
        self.bytes -= bytes_of(&letter);
        self.refused = false;
        Some(letter)
    }

    fn full(&self, kind: DeadLetterKind) -> Option<CompactString> {
        let count = self.kept.len();
        let max = self.bound.max;
        let kind = kind.as_str();
        if self.bound.when_full == FullPolicy::EvictOldest {
            return None;
        }
        if count >= max.get() {
            return Some(format_compact!("{count} of {max} {kind}"));
        }
        let bytes = self.bytes;
        let max = self.bytes_max;
        let is_full = self.refused || bytes >= max;
        is_full.then(|| format_compact!("{bytes} of {max} bytes of {kind}"))
    }
}

/// The approximate memory of a letter.
fn bytes_of(letter: &DeadLetter) -> usize {
    let excerpt = |attempt: &AttemptRecord| attempt.excerpt.as_ref().map_or(0, |e| e.len());
    let attempts = letter.history.iter().map(excerpt).sum::<usize>()
        + letter.history.len() * size_of::<AttemptRecord>();
    let action = letter.action.as_ref();
    let progress = action.and_then(|action| action.progress.as_ref());
    let progress = progress.map_or(0, |progress| progress.state.len());
    size_of::<DeadLetter>() + letter.raw.len() + letter.message.len() + attempts + progress
}

fn matches(letter: &DeadLetter, query: &DeadLetterQuery) -> bool {
    query.filter.matches(letter) && letter.is_inside(&query.scope)
}
