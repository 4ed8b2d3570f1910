//! Remembered outcomes, to be answered again. They are optional: kept apart from everything in force, with the oldest
//! evicted to make room for new ones.

use std::collections::VecDeque;

use acteon_core::{ActionOutcome, ProviderResponse};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use crate::key::HashedKey;

/// The maximum number of expired outcomes dropped for each new one.
const FORGOTTEN_PER_OUTCOME: usize = 4;

/// The bounds of one shard's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RememberedLimits {
    pub(crate) outcomes: usize,
    pub(crate) bytes: usize,
}

/// The outcomes remembered by one shard.
pub(crate) struct RememberedOutcomes {
    /// In order of arrival. An entry whose key arrived again no longer has an outcome.
    entries: VecDeque<Entry>,
    /// The number of the newest entry of each key.
    places: HashTable<u32>,
    /// The number of the oldest entry. Numbers wrap around; there are never enough entries at once for two to share a
    /// number.
    first: u32,
    bytes: usize,
    limits: RememberedLimits,
}

struct Entry {
    key: HashedKey,
    until: u64,
    outcome: Option<Box<ActionOutcome>>,
}

impl RememberedOutcomes {
    pub(crate) fn new(limits: RememberedLimits) -> Self {
        Self {
            entries: VecDeque::new(),
            places: HashTable::new(),
            first: 0,
            bytes: 0,
            limits,
        }
    }

    /// The outcome under `key`, unless it has expired.
    pub(crate) fn find(&self, key: HashedKey, now: u64) -> Option<&ActionOutcome> {
        let entries = &self.entries;
        let first = self.first;
        let of_key = |number: &u32| entries[index(first, *number)].key == key;
        let number = self.places.find(key.low, of_key)?;
        let entry = &entries[index(first, *number)];
        entry.outcome.as_deref().filter(|_| now < entry.until)
    }

    /// Remembers `outcome` until the given time. Drops expired entries, and the oldest ones if room is needed.
    pub(crate) fn put(&mut self, key: HashedKey, outcome: ActionOutcome, until: u64, now: u64) {
        for _ in 0..FORGOTTEN_PER_OUTCOME {
            if self.entries.front().is_none_or(|oldest| now < oldest.until) {
                break;
            }
            self.forget_oldest();
        }
        let more = bytes_of(&outcome);
        if more > self.limits.bytes || self.limits.outcomes == 0 {
            return;
        }
        while self.entries.len() >= self.limits.outcomes || self.bytes + more > self.limits.bytes {
            self.forget_oldest();
        }
        self.bytes += more;
        self.place(key);
        self.entries.push_back(Entry {
            key,
            until,
            outcome: Some(Box::new(outcome)),
        });
    }

    /// Records the next entry as the newest of `key`, and empties the previous one.
    #[expect(clippy::cast_possible_truncation, reason = "numbers wrap around")]
    fn place(&mut self, key: HashedKey) {
        let number = self.first.wrapping_add(self.entries.len() as u32);
        let entries = &mut self.entries;
        let first = self.first;
        let of_key = |there: &u32| entries[index(first, *there)].key == key;
        let hash = |there: &u32| entries[index(first, *there)].key.low;
        match self.places.entry(key.low, of_key, hash) {
            TableEntry::Vacant(place) => {
                place.insert(number);
            }
            TableEntry::Occupied(mut place) => {
                let before = std::mem::replace(place.get_mut(), number);
                if let Some(outcome) = entries[index(first, before)].outcome.take() {
                    self.bytes -= bytes_of(&outcome);
                }
            }
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else {
            return;
        };
        if let Some(outcome) = oldest.outcome {
            self.bytes -= bytes_of(&outcome);
            let number = self.first;
            let place = self.places.find_entry(oldest.key.low, |n| *n == number);
            if let Ok(place) = place {
                place.remove();
            }
        }
        self.first = self.first.wrapping_add(1);
    }

    /// The number of entries and their memory.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }
}

fn index(first: u32, number: u32) -> usize {
    number.wrapping_sub(first) as usize
}

/// The approximate memory of one outcome and its entry.
fn bytes_of(outcome: &ActionOutcome) -> usize {
    let own = size_of::<ActionOutcome>() + 2 * size_of::<Entry>();
    own + match outcome {
        ActionOutcome::Executed(response) | ActionOutcome::Rerouted { response, .. } => {
            bytes_of_response(response)
        }
        ActionOutcome::Failed(failure) => failure.message.len(),
        ActionOutcome::CircuitOpen { fallback_chain, .. } => 24 * fallback_chain.len(),
        ActionOutcome::Deduplicated(())
        | ActionOutcome::Suppressed { .. }
        | ActionOutcome::Throttled { .. }
        | ActionOutcome::Grouped { .. }
        | ActionOutcome::StateChanged { .. }
        | ActionOutcome::DryRun { .. } => 0,
    }
}

fn bytes_of_response(response: &ProviderResponse) -> usize {
    let headers = response
        .headers
        .iter()
        .map(|(name, value)| 48 + name.len() + value.len());
    16 + response.body.get().len() + headers.sum::<usize>()
}

#[cfg(test)]
mod tests;
