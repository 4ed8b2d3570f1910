//! Hands out what is due: groups and events with set timers, in one order.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{DueWork, StateError, StoredEvent, Timers, Token};
use async_trait::async_trait;

use crate::groups::Taker;
use crate::shards::Locked;
use crate::state::MemoryState;
use crate::table::nanos;

#[async_trait]
impl Timers for MemoryState {
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError> {
        let mut shards = self.shards.lock_all();
        let mut table = self.groups.lock();
        let now = self.shards.at(shards.now);
        let taker = Taker::new(token, lease, now);
        let mut groups = table.taken_with(token);
        let mut events = shards.events_taken_with(token);
        let was_asked = !groups.is_empty() || !events.is_empty();
        while !was_asked && groups.len() + events.len() < limit {
            let group = table.next_due().filter(|due| *due <= now);
            let event = shards.due_event();
            let is_event_first = match (group, event) {
                (None, None) => break,
                (Some(group), Some(event)) => self.shards.at(event) < group,
                (group, _) => group.is_none(),
            };
            match is_event_first {
                true => events.extend(shards.take_due_event(lease, token)),
                false => groups.extend(table.take_first(taker)),
            }
        }
        Ok(DueWork {
            now,
            groups,
            events,
        })
    }

    async fn next_due(&self) -> Result<Option<Duration>, StateError> {
        let shards = self.shards.lock_all();
        let group = self.groups.lock().next_due();
        let now = self.shards.at(shards.now);
        let group = group.map(|due| Duration::try_from(due.duration_since(now)));
        let group = group.map(Result::unwrap_or_default);
        let event = shards.next_timer();
        let event = event.map(|due| Duration::from_nanos(due.saturating_sub(shards.now)));
        Ok(group.into_iter().chain(event).min())
    }
}

/// All shards under their locks.
impl Locked<'_> {
    /// When the earliest timer of an event is due.
    fn next_timer(&self) -> Option<u64> {
        let due = self.all().filter_map(|shard| shard.events.next_due());
        due.min()
    }

    /// The due time of the event that is due first, if one is due now.
    fn due_event(&self) -> Option<u64> {
        self.next_timer().filter(|due| *due <= self.now)
    }

    fn take_due_event(&mut self, lease: Duration, token: Token) -> Option<Arc<StoredEvent>> {
        let now = self.now;
        let until = now.saturating_add(nanos(lease));
        let first = self
            .all_mut()
            .min_by_key(|shard| shard.events.next_due().unwrap_or(u64::MAX))?;
        first.events.take_due(now, until, token)
    }

    fn events_taken_with(&self, token: Token) -> Vec<Arc<StoredEvent>> {
        let taken = self
            .all()
            .flat_map(|shard| shard.events.taken_with(token, self.now));
        taken.cloned().collect()
    }
}
