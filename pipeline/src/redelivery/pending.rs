//! The redeliveries that this process has requested and not yet seen return. Bounded: redeliveries beyond the bound
//! happen but are not listed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::Envelope;
use acteon_core::redelivery::{PendingRedelivery, Redeliveries, RedeliveryPage, RedeliveryQuery};
use compact_str::{CompactString, ToCompactString};
use hashbrown::HashMap;
use jiff::Timestamp;
use parking_lot::Mutex;

/// The maximum number kept.
const REMEMBERED_MAX: usize = 10_000;
/// An entry overdue by this time must have gone to another process.
const OVERDUE: Duration = Duration::from_secs(3600);

type Key = (Timestamp, CompactString);

#[derive(Default)]
pub(crate) struct PendingRedeliveries(Mutex<Listed>);

#[derive(Default)]
struct Listed {
    by_time: BTreeMap<Key, Arc<PendingRedelivery>>,
    due: HashMap<CompactString, Timestamp>,
    by_provider: HashMap<CompactString, usize>,
}

impl PendingRedeliveries {
    /// Records that an action leaves at `now` until `next_at`.
    pub(crate) fn add(
        &self,
        envelope: &Envelope,
        provider: &CompactString,
        now: Timestamp,
        next_at: Timestamp,
    ) {
        let Some(history) = envelope.history.as_deref() else {
            return;
        };
        let action = &envelope.action;
        let one = PendingRedelivery {
            action_id: action.id.clone(),
            namespace: action.namespace.clone(),
            tenant: action.tenant.clone(),
            provider: provider.clone(),
            action_type: action.action_type.clone(),
            source: envelope.position.to_compact_string(),
            history: history.clone(),
            next_at,
        };
        let mut listed = self.0.lock();
        listed.forget_overdue(now);
        listed.insert(one);
    }

    /// Records that an action has returned.
    pub(crate) fn remove(&self, envelope: &Envelope) {
        if envelope.history.is_some() {
            self.0.lock().remove(&envelope.position.to_compact_string());
        }
    }

    /// The number of redeliveries for this provider.
    pub(crate) fn of(&self, provider: &str) -> usize {
        self.0
            .lock()
            .by_provider
            .get(provider)
            .copied()
            .unwrap_or(0)
    }
}

impl Redeliveries for PendingRedeliveries {
    fn list(&self, query: &RedeliveryQuery) -> RedeliveryPage {
        let listed = self.0.lock();
        let begin = match &query.after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Unbounded,
        };
        let after = listed.by_time.range((begin, Bound::Unbounded));
        let mut matching = after.map(|(_, one)| one).filter(|one| query.matches(one));
        let redeliveries = matching.by_ref().take(query.limit).cloned().collect();
        RedeliveryPage {
            redeliveries,
            more: matching.next().is_some(),
        }
    }
}

impl Listed {
    fn insert(&mut self, one: PendingRedelivery) {
        self.remove(&one.source);
        if self.by_time.len() >= REMEMBERED_MAX {
            return;
        }
        self.due.insert(one.source.clone(), one.next_at);
        *self.by_provider.entry(one.provider.clone()).or_default() += 1;
        self.by_time
            .insert((one.next_at, one.source.clone()), Arc::new(one));
    }

    fn remove(&mut self, source: &CompactString) {
        let Some(next_at) = self.due.remove(source) else {
            return;
        };
        if let Some(one) = self.by_time.remove(&(next_at, source.clone()))
            && let Some(count) = self.by_provider.get_mut(&one.provider)
        {
            *count = count.saturating_sub(1);
        }
    }

    fn forget_overdue(&mut self, now: Timestamp) {
        while let Some(((due, source), _)) = self.by_time.first_key_value()
            && Duration::try_from(now.duration_since(*due)).is_ok_and(|late| late > OVERDUE)
        {
            let source = source.clone();
            self.remove(&source);
        }
    }
}
