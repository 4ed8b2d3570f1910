//! Writes an event as the step of a reservation: checks its version and the bound first, then stores it and moves its
//! index entries.

use std::sync::Arc;

use acteon_core::state::{
    EventPhase, EventRecord, EventWrite, ReservationAnswer, StateKey, StoredEvent, Token,
};

use crate::event_table::{EventEntry, NEVER};
use crate::key::{HashedKey, Hashing, KeyKind};
use crate::shards::Locked;
use crate::table::nanos;

/// How the writes of the same event before it in the slice ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// All were made, if there were any.
    Granted,
    /// One was refused, so this one is not about the present record.
    Refused,
}

/// What is left to do of a write.
pub(crate) enum WriteCheck {
    /// To store it.
    Store(Box<[HashedKey]>),
    /// Nothing: this hold has written it before.
    Done,
}

impl Locked<'_> {
    /// Whether a write can be made.
    ///
    /// # Errors
    /// The answer if not.
    pub(crate) fn check_write(
        &mut self,
        write: &EventWrite,
        key: HashedKey,
        token: Token,
        follows: Follows,
    ) -> Result<WriteCheck, ReservationAnswer> {
        let now = self.now;
        let hashing = self.hashing;
        let shard = self.shard(key);
        let present = shard.events.find(key, now);
        let version = present.map_or(0, |entry| entry.event.version);
        if let Some(entry) = present
            && entry.written_by == token
            && version == write.expected + 1
        {
            return Ok(WriteCheck::Done);
        }
        if version != write.expected || follows == Follows::Refused {
            let present = present.map(|entry| entry.event.clone());
            return Err(ReservationAnswer::Conflict(present));
        }
        let entries = hashing.index_entries(write);
        let freed = present.map_or(0, EventEntry::places);
        let more = (1 + entries.len()).saturating_sub(freed);
        match more == 0 || shard.fits_places(more, now) {
            true => Ok(WriteCheck::Store(entries)),
            false => Err(ReservationAnswer::Full),
        }
    }

    pub(crate) fn write(
        &mut self,
        write: &EventWrite,
        key: HashedKey,
        token: Token,
        entries: Box<[HashedKey]>,
    ) {
        let now = self.now;
        // The new entries are added first, so that an entry that stays never disappears in between.
        for entry in &entries {
            self.shard(*entry).index.add(*entry);
        }
        let (until, ended_at) = match write.record.phase {
            EventPhase::Active => (u64::MAX, None),
            EventPhase::Ended(retention) => (now.saturating_add(nanos(retention)), Some(now)),
        };
        let due_in = write.due_in.map(nanos);
        let entry = EventEntry {
            key,
            until,
            due: due_in.map_or(NEVER, |due_in| now.saturating_add(due_in)),
            event: Arc::new(StoredEvent {
                event: write.event.clone(),
                version: write.expected + 1,
                record: write.record.clone(),
            }),
            written_by: token,
            entries,
        };
        for entry in self.shard(key).put_event(entry, now) {
            self.shard(entry).index.remove(entry, ended_at);
        }
    }
}

impl Hashing {
    /// The key of the event.
    pub(crate) fn event(&self, write: &EventWrite) -> HashedKey {
        self.key(KeyKind::Event, &write.event.key())
    }

    /// The index entries of a write: its type, and its type with each value, under its name and under any.
    fn index_entries(&self, write: &EventWrite) -> Box<[HashedKey]> {
        let record = &write.record;
        match record.phase {
            EventPhase::Ended(_) => Box::default(),
            EventPhase::Active => self.active_entries(&record.type_key(&write.event), record),
        }
    }

    fn active_entries(&self, event_type: &StateKey, record: &EventRecord) -> Box<[HashedKey]> {
        let mut entries = vec![self.key(KeyKind::EventType, event_type)];
        for value in &record.values {
            entries.push(self.value(event_type, &value.value));
            entries.push(self.named_value(event_type, value));
        }
        entries.sort_unstable();
        entries.dedup();
        entries.into()
    }
}
