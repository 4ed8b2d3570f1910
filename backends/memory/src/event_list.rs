//! Lists events, shard by shard.

use std::cmp::Ordering;
use std::sync::Arc;

use acteon_core::scope::Scope;
use acteon_core::state::{EventCursor, EventId, EventPage, EventQuery, StoredEvent};

use crate::key::KeyKind;
use crate::shards::Shards;

impl Shards {
    /// One page of the listing.
    pub(crate) fn events(&self, query: &EventQuery) -> EventPage {
        let mut newest = Newest {
            events: Vec::new(),
            keep: query.limit.saturating_add(1),
        };
        self.each(|shard, now| {
            let events = shard.events.iter(now);
            events
                .filter(|event| is_listed(event, query))
                .for_each(|event| newest.push(event));
        });
        let mut events = newest.into_sorted();
        let has_more = events.len() > query.limit;
        events.truncate(query.limit);
        let last = events.last().filter(|_| has_more);
        EventPage {
            next: last.map(|event| EventCursor::from(&**event)),
            events,
        }
    }

    /// One event.
    pub(crate) fn event(&self, scope: &Scope, id: &EventId) -> Option<Arc<StoredEvent>> {
        let key = self.hashing.key(KeyKind::Event, &id.key());
        let mut locked = self.lock(&[key]);
        let now = locked.now;
        let event = &locked.shard(key).events.find(key, now)?.event;
        is_inside(event, scope).then(|| event.clone())
    }
}

/// The first events of a listing, while it is collected.
struct Newest {
    events: Vec<Arc<StoredEvent>>,
    keep: usize,
}

impl Newest {
    fn push(&mut self, event: &Arc<StoredEvent>) {
        self.events.push(event.clone());
        if self.events.len() >= self.keep.saturating_mul(2) {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.events.sort_unstable_by(|a, b| in_order(a, b));
        self.events.truncate(self.keep);
    }

    fn into_sorted(mut self) -> Vec<Arc<StoredEvent>> {
        self.shorten();
        self.events
    }
}

fn is_listed(event: &StoredEvent, query: &EventQuery) -> bool {
    let is_after = |cursor: &EventCursor| {
        let newer = cursor.updated_at.cmp(&event.record.updated_at);
        newer.then_with(|| event.event.cmp(&cursor.event)).is_gt()
    };
    query.after.as_ref().is_none_or(is_after)
        && is_inside(event, &query.scope)
        && query.filter.accepts(&event.event, &event.record)
}

fn is_inside(event: &StoredEvent, scope: &Scope) -> bool {
    let id = &event.event;
    scope.covers(&id.namespace, &id.tenant, &event.record.event_type)
}

/// The newest first, then by id.
fn in_order(a: &StoredEvent, b: &StoredEvent) -> Ordering {
    let newer = b.record.updated_at.cmp(&a.record.updated_at);
    newer.then_with(|| a.event.cmp(&b.event))
}
