//! Tracks events: stores all events of a call and their index entries, or none.

use std::collections::HashMap;

use acteon_core::state::{Event, EventPhase, StateKey};
use thiserror::Error;

use crate::event_index::TrackedEvent;
use crate::key::{HashedKey, Hashing, KeyKind};
use crate::shards::{Locked, SHARDS, Shards};
use crate::table::nanos;

/// Events do not fit into the bound. They may fit after others have ended and been forgotten.
#[derive(Debug, Error)]
#[error("the state in memory is full (max_keys): the events do not fit")]
pub(crate) struct EventsDoNotFit;

impl Shards {
    /// Locks all shards, so that all events are stored or none, and no reader sees a part of them.
    pub(crate) fn track(&self, events: &[Event]) -> Result<(), EventsDoNotFit> {
        let named = events.iter().map(|event| self.hashing.tracked(event));
        // If an event appears twice, the last entry wins.
        let changes: HashMap<_, _> = named.map(|event| (event.key, event)).collect();
        let mut locked = self.lock_all();
        if !locked.fits_events(&changes) {
            return Err(EventsDoNotFit);
        }
        for event in changes.into_values() {
            locked.track(event);
        }
        Ok(())
    }
}

impl Locked<'_> {
    fn fits_events(&mut self, changes: &HashMap<HashedKey, TrackedEvent>) -> bool {
        let now = self.now;
        let mut wanted = [0; SHARDS];
        let mut freed = [0; SHARDS];
        for (key, event) in changes {
            let place = self.place(*key);
            wanted[place] += event.places();
            freed[place] += self.nth(place).places_of_event(*key, now);
        }
        wanted
            .into_iter()
            .zip(freed)
            .enumerate()
            .all(|(at, (wanted, freed))| {
                wanted <= freed || self.nth(at).fits_places(wanted - freed, now)
            })
    }

    fn track(&mut self, event: TrackedEvent) {
        let now = self.now;
        let key = event.key;
        for entry in &event.entries {
            self.shard(*entry).add_to_index(*entry);
        }
        // The new entries are added first, so that an entry that stays never disappears in between.
        for entry in self.shard(key).put_event(event, now) {
            self.shard(entry).remove_from_index(entry);
        }
    }
}

impl Hashing {
    /// The event as stored, except that `until` is still a duration.
    fn tracked(&self, event: &Event) -> TrackedEvent {
        let name = |name| StateKey::new(&event.namespace, &event.tenant, "", name);
        let (until, entries) = match event.phase {
            EventPhase::Active => (
                u64::MAX,
                self.index_entries(&name(&event.event_type), event),
            ),
            EventPhase::Ended(retention) => (nanos(retention), Box::default()),
        };
        TrackedEvent {
            key: self.key(KeyKind::Event, &name(&event.fingerprint)),
            until,
            state: event.state.clone(),
            entries,
        }
    }

    /// The entry of the type, and one per value.
    fn index_entries(&self, event_type: &StateKey, event: &Event) -> Box<[HashedKey]> {
        let mut entries = vec![self.key(KeyKind::EventType, event_type)];
        entries.extend(
            event
                .values
                .iter()
                .map(|value| self.value(event_type, value)),
        );
        entries.sort_unstable();
        entries.dedup();
        entries.into()
    }
}
