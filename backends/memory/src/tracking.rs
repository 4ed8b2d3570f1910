//! Events and the index of the active ones. An event knows the index entries that it stands for, so that whatever it
//! becomes, exactly those are taken back; an entry counts how many events stand for it, and goes with the last.

use std::collections::HashMap;

use acteon_core::state::{Event, Standing, StateKey};
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
    /// The index entries it stands for: none when it has ended.
    pub(crate) marks: Box<[Key]>,
}

impl Tracked {
    /// How much of the bound it takes.
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

/// An entry of the index: a type, or a type and a value.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) key: Key,
    /// How many active events stand for it.
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
    /// Under the locks of all shards: all events or none, and nobody sees a part of them.
    pub(crate) fn track(&self, events: &[Event]) -> Result<(), NoRoom> {
        let named = events.iter().map(|event| self.hashing.tracked(event));
        // Of two words about one event, the last one stays.
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
        // What it stands for now was marked first: an entry that stays is never gone in between.
        for mark in self.shard(key).put_event(event, now) {
            self.shard(mark).unmark(mark);
        }
    }
}

impl Hashing {
    /// The event as it is kept; `until` holds for how long.
    fn tracked(&self, event: &Event) -> Tracked {
        let name = |name| StateKey::new(&event.namespace, &event.tenant, "", name);
        let (until, marks) = match event.standing {
            Standing::Active => (u64::MAX, self.marks(&name(&event.event_type), event)),
            Standing::Ended(retention) => (nanos(retention), Box::default()),
        };
        Tracked {
            key: self.key(Kind::Event, &name(&event.fingerprint)),
            until,
            state: event.state.clone(),
            marks,
        }
    }

    /// The entry of the type and one for each value.
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
