//! Events and the index of the active ones. An event records its index entries, so that exactly those are removed
//! whatever it becomes. An entry counts its events and is removed with the last one.

use std::collections::HashMap;

use acteon_core::state::{Event, EventPhase, StateKey};
use compact_str::CompactString;

use crate::error::NoRoom;
use crate::key::{Hashing, Key, Kind};
use crate::shards::{Locked, SHARDS, Shards};
use crate::table::Perishable;
use crate::time::nanos;

/// An event.
#[derive(Debug)]
pub(crate) struct Tracked {
    key: Key,
    /// When it is forgotten, in nanoseconds.
    pub(crate) until: u64,
    pub(crate) state: CompactString,
    /// Its index entries. Empty once the event has ended.
    pub(crate) marks: Box<[Key]>,
}

impl Tracked {
    /// The share of the bound that it takes.
    pub(crate) fn places(&self) -> usize {
        1 + self.marks.len()
    }
}

impl Perishable for Tracked {
    fn key(&self) -> Key {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

/// An index entry: a type, or a type and a value.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) key: Key,
    /// The number of active events behind it.
    pub(crate) events: u64,
}

impl Perishable for Mark {
    fn key(&self) -> Key {
        self.key
    }

    fn is_over(&self, _: u64) -> bool {
        self.events == 0
    }
}

impl Shards {
    /// Locks all shards, so that all events are stored or none, and no reader sees a part of them.
    pub(crate) fn track(&self, events: &[Event]) -> Result<(), NoRoom> {
        let named = events.iter().map(|event| self.hashing.tracked(event));
        // If an event appears twice, the last entry wins.
        let changes: HashMap<_, _> = named.map(|event| (event.key, event)).collect();
        let mut locked = self.lock_all();
        if !locked.fits_events(&changes) {
            return Err(NoRoom);
        }
        for event in changes.into_values() {
            locked.track(event);
        }
        Ok(())
    }
}

impl Locked<'_> {
    fn fits_events(&mut self, changes: &HashMap<Key, Tracked>) -> bool {
        let now = self.now;
        let (mut wanted, mut given) = ([0; SHARDS], [0; SHARDS]);
        for (key, event) in changes {
            let place = self.place(*key);
            wanted[place] += event.places();
            given[place] += self.nth(place).places_of_event(*key, now);
        }
        wanted
            .into_iter()
            .zip(given)
            .enumerate()
            .all(|(at, (wanted, given))| {
                wanted <= given || self.nth(at).fits_places(wanted - given, now)
            })
    }

    fn track(&mut self, event: Tracked) {
        let (now, key) = (self.now, event.key);
        for mark in &event.marks {
            self.shard(*mark).mark(*mark);
        }
        // The new entries were marked first, so that an entry that stays never disappears in between.
        for mark in self.shard(key).put_event(event, now) {
            self.shard(mark).unmark(mark);
        }
    }
}

impl Hashing {
    /// The event as stored, except that `until` is still a duration.
    fn tracked(&self, event: &Event) -> Tracked {
        let name = |name| StateKey::new(&event.namespace, &event.tenant, "", name);
        let (until, marks) = match event.phase {
            EventPhase::Active => (u64::MAX, self.marks(&name(&event.event_type), event)),
            EventPhase::Ended(retention) => (nanos(retention), Box::default()),
        };
        Tracked {
            key: self.key(Kind::Event, &name(&event.fingerprint)),
            until,
            state: event.state.clone(),
            marks,
        }
    }

    /// The entry of the type, and one per value.
    fn marks(&self, event_type: &StateKey, event: &Event) -> Box<[Key]> {
        let mut marks = vec![self.key(Kind::EventType, event_type)];
        marks.extend(
            event
                .values
                .iter()
                .map(|value| self.value(event_type, value)),
        );
        marks.sort_unstable();
        marks.dedup();
        marks.into()
    }
}
