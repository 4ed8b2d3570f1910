//! The sequences of a provider to which order matters: which actions of each are here, and which are away until their
//! redelivery. Both keep their places. Only the first of a sequence may be attempted. The jobs that wait for it are
//! left to `behind.rs`. Bounded: places of away actions beyond the bound, or long overdue, are given up.

use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use acteon_core::Envelope;
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::job::identity;

/// How long after its time an away action keeps its place. One that has not returned by then has gone to another process.
const OVERDUE: Duration = Duration::from_secs(300);
/// The maximum number of away actions of one provider that keep their places.
const AWAY_MAX: usize = 10_000;

/// The sequences of one provider.
#[derive(Default)]
pub(crate) struct Sequences {
    lines: Mutex<Lines>,
    /// The number of away actions; readable without the lock.
    away: AtomicUsize,
    hasher: DefaultHashBuilder,
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    by_key: HashMap<u64, Line>,
    away: HashMap<u64, AwayPlace>,
    /// The away actions by the times of their return.
    due: BTreeSet<(Instant, u64)>,
    /// The keys of the sequences that have changed since the worker last looked.
    changed: Vec<u64>,
    last_number: u64,
}

/// One sequence: its actions in the order in which they came, with ascending numbers.
#[derive(Default)]
struct Line {
    entries: VecDeque<Entry>,
    away: usize,
    is_changed: bool,
}

struct Entry {
    number: u64,
    /// When the action returns, if it is away.
    away_until: Option<Instant>,
}

/// The place of an away action.
struct AwayPlace {
    key: u64,
    number: u64,
    until: Instant,
}

/// What is ahead of a job in its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Nothing. The job may be attempted.
    Nothing,
    /// A job that is here.
    Job,
    /// An action that is away. It returns at this time.
    Away { until: Instant },
}

/// The place of a job in a sequence. Dropping it gives the place up, and the next job goes on.
pub(crate) struct SequencePlace {
    sequences: Arc<Sequences>,
    key: u64,
    /// Identifies the action when it returns.
    action: u64,
    /// `None`: it has not entered the sequence yet.
    number: Option<u64>,
}

impl Sequences {
    /// A place for an action in the sequence of `key`, not entered yet.
    pub(crate) fn place(self: &Arc<Self>, key: &str, envelope: &Envelope) -> SequencePlace {
        SequencePlace {
            sequences: self.clone(),
            key: self.hasher.hash_one(key),
            action: self.hash(envelope),
            number: None,
        }
    }

    /// Gives up the place of an action if it has one from before a redelivery.
    pub(crate) fn forget(&self, envelope: &Envelope) {
        if self.away.load(SeqCst) == 0 {
            return;
        }
        let action = self.hash(envelope);
        self.change(|lines| lines.forget(action));
    }

    /// Waits until a sequence has changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The keys of the sequences that have changed.
    pub(crate) fn take_changed(&self) -> Vec<u64> {
        let mut lines = self.lines.lock();
        let changed = std::mem::take(&mut lines.changed);
        for key in &changed {
            if let Some(line) = lines.by_key.get_mut(key) {
                line.is_changed = false;
            }
        }
        changed
    }

    /// The same for an action each time it comes from its source.
    fn hash(&self, envelope: &Envelope) -> u64 {
        let position = &envelope.position;
        let names = identity(&envelope.action);
        self.hasher
            .hash_one((&position.stream, position.offset, names))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Lines) -> T) -> T {
        let mut lines = self.lines.lock();
        lines.forget_overdue(Instant::now());
        let result = change(&mut lines);
        self.away.store(lines.away.len(), SeqCst);
        let has_changed = !lines.changed.is_empty();
        drop(lines);
        if has_changed {
            self.changed.notify_one();
        }
        result
    }
}

impl SequencePlace {
    /// Enters the sequence: at the end, or at the place that the action kept while it was away.
    pub(crate) fn enter(&mut self) -> u64 {
        let Self { key, action, .. } = *self;
        let enter = || self.sequences.change(|lines| lines.enter(key, action));
        *self.number.get_or_insert_with(enter)
    }

    /// Keeps the place while the action is away until this time.
    pub(crate) fn leave(mut self, until: Instant) {
        let number = self.enter();
        self.number = None;
        let place = AwayPlace {
            key: self.key,
            number,
            until,
        };
        let action = self.action;
        self.sequences.change(|lines| lines.leave(action, place));
    }

    /// The hashed key of its sequence and its number in it, if it has entered.
    pub(crate) fn entered(&self) -> Option<(u64, u64)> {
        Some((self.key, self.number?))
    }

    /// How many of its sequence are ahead of it, here or away.
    pub(crate) fn ahead_count(&self) -> usize {
        let Some(number) = self.number else {
            return 0;
        };
        let count = |lines: &mut Lines| lines.ahead_count(self.key, number);
        self.sequences.change(count)
    }

    /// What is ahead of it.
    pub(crate) fn ahead(&self) -> Ahead {
        let Some(number) = self.number else {
            return Ahead::Nothing;
        };
        self.sequences.change(|lines| lines.ahead(self.key, number))
    }
}

impl Drop for SequencePlace {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.sequences.change(|lines| lines.end(self.key, number));
        }
    }
}

impl Lines {
    fn enter(&mut self, key: u64, action: u64) -> u64 {
        if let Some(number) = self.returned(key, action) {
            return number;
        }
        self.forget(action);
        self.last_number += 1;
        let number = self.last_number;
        let line = self.by_key.entry(key).or_default();
        line.entries.push_back(Entry {
            number,
            away_until: None,
        });
        number
    }

    /// The place that an action kept in this sequence while it was away.
    fn returned(&mut self, key: u64, action: u64) -> Option<u64> {
        self.away.get(&action).filter(|place| place.key == key)?;
        let place = self.away.remove(&action)?;
        self.due.remove(&(place.until, action));
        let line = self.by_key.get_mut(&key)?;
        line.away -= 1;
        line.entry(place.number)?.away_until = None;
        Some(place.number)
    }

    fn leave(&mut self, action: u64, place: AwayPlace) {
        self.forget(action);
        if self.away.len() >= AWAY_MAX {
            return self.end(place.key, place.number);
        }
        let Some(line) = self.by_key.get_mut(&place.key) else {
            return;
        };
        if let Some(entry) = line.entry(place.number) {
            entry.away_until = Some(place.until);
            line.away += 1;
            self.has_changed(place.key);
            self.due.insert((place.until, action));
            self.away.insert(action, place);
        }
    }

    fn ahead(&self, key: u64, number: u64) -> Ahead {
        let line = self.by_key.get(&key);
        let first = line.and_then(|line| line.entries.front());
        let first = first.filter(|first| first.number < number);
        match first.map(|first| first.away_until) {
            None => Ahead::Nothing,
            Some(Some(until)) => Ahead::Away { until },
            Some(None) => Ahead::Job,
        }
    }

    fn ahead_count(&self, key: u64, number: u64) -> usize {
        let line = self.by_key.get(&key);
        line.map_or(0, |line| line.find(number).unwrap_or_else(|place| place))
    }

    fn end(&mut self, key: u64, number: u64) {
        let Some(line) = self.by_key.get_mut(&key) else {
            return;
        };
        if let Ok(at) = line.find(number) {
            line.entries.remove(at);
        }
        if line.entries.is_empty() {
            self.by_key.remove(&key);
        } else {
            self.has_changed(key);
        }
    }

    fn forget(&mut self, action: u64) {
        let Some(place) = self.away.remove(&action) else {
            return;
        };
        self.due.remove(&(place.until, action));
        if let Some(line) = self.by_key.get_mut(&place.key) {
            line.away -= 1;
        }
        self.end(place.key, place.number);
    }

    fn forget_overdue(&mut self, now: Instant) {
        while let Some((until, action)) = self.due.first().copied()
            && until + OVERDUE <= now
        {
            self.forget(action);
        }
    }

    fn has_changed(&mut self, key: u64) {
        if let Some(line) = self.by_key.get_mut(&key)
            && !std::mem::replace(&mut line.is_changed, true)
        {
            self.changed.push(key);
        }
    }
}

impl Line {
    fn find(&self, number: u64) -> Result<usize, usize> {
        self.entries
            .binary_search_by_key(&number, |entry| entry.number)
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let at = self.find(number).ok()?;
        self.entries.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use acteon_testkit::action;
    use compact_str::format_compact;
    use tokio::time::advance;

    use super::*;

    fn entered(sequences: &Arc<Sequences>, key: &str, id: &str) -> SequencePlace {
        let mut place = sequences.place(key, &action(id).envelope());
        place.enter();
        place
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn one_after_another_is_the_first() {
        let sequences = Arc::<Sequences>::default();
        let first = entered(&sequences, "k", "a");
        let second = entered(&sequences, "k", "b");
        let other = entered(&sequences, "other", "c");
        assert_eq!(first.ahead(), Ahead::Nothing);
        assert_eq!(second.ahead(), Ahead::Job);
        assert_eq!(other.ahead(), Ahead::Nothing);
        assert!(sequences.take_changed().is_empty());
        drop(first);
        assert_eq!(second.ahead(), Ahead::Nothing);
        assert_eq!(sequences.take_changed().len(), 1);
        drop((second, other));
        assert!(sequences.lines.lock().by_key.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_has_the_old_place() {
        let sequences = Arc::<Sequences>::default();
        let until = soon();
        entered(&sequences, "k", "a").leave(until);
        let behind = entered(&sequences, "k", "b");
        assert_eq!(behind.ahead(), Ahead::Away { until });
        let back = entered(&sequences, "k", "a");
        assert_eq!((back.ahead(), behind.ahead()), (Ahead::Nothing, Ahead::Job));
        let until = soon();
        back.leave(until);
        sequences.forget(&action("a").envelope());
        assert_eq!(behind.ahead(), Ahead::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_with_another_key_gives_the_old_place_up() {
        let sequences = Arc::<Sequences>::default();
        entered(&sequences, "k", "a").leave(soon());
        let behind = entered(&sequences, "k", "b");
        let moved = entered(&sequences, "other", "a");
        assert_eq!(
            (behind.ahead(), moved.ahead()),
            (Ahead::Nothing, Ahead::Nothing)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn places_of_away_actions_are_bounded_in_number_and_time() {
        let sequences = Arc::<Sequences>::default();
        for number in 0..AWAY_MAX + 10 {
            let name = format_compact!("a{number}");
            entered(&sequences, &name, &name).leave(soon());
        }
        let count = || {
            let lines = sequences.lines.lock();
            assert_eq!(lines.by_key.len(), lines.away.len());
            assert_eq!(lines.due.len(), lines.away.len());
            lines.away.len()
        };
        assert_eq!(count(), AWAY_MAX);
        advance(Duration::from_secs(5) + OVERDUE).await;
        drop(entered(&sequences, "new", "new"));
        assert_eq!(count(), 0);
        assert_eq!(sequences.away.load(SeqCst), 0);
    }
}
