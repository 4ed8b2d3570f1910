//! What stands under a lease or dedup key: who holds it, or what became of it, and for how long.

use acteon_core::ActionOutcome;

use crate::key::Key;
use crate::table::Perishable;

/// How long a lease that ran out is still known, so that a delivery which outlived it can be confirmed.
const AFTERLIFE: u64 = 60_000_000_000;

/// What stands under a lease or dedup key.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Taken by the grant of this fence.
    Pending(u64),
    /// Delivered: duplicates are told so.
    Confirmed,
    /// Settled, with the answer to give again.
    Remembered(Box<ActionOutcome>),
}

/// A lease or a dedup record. 40 bytes, and there are millions.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) key: Key,
    /// When it falls free, in nanoseconds.
    pub(crate) until: u64,
    pub(crate) slot: Slot,
}

impl Perishable for Record {
    fn key(&self) -> Key {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        match self.slot {
            Slot::Pending(_) => now >= self.until.saturating_add(AFTERLIFE),
            Slot::Confirmed | Slot::Remembered(_) => now >= self.until,
        }
    }
}

impl Slot {
    /// The memory outside the table, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let Self::Remembered(outcome) = self else {
            return 0;
        };
        let response = match &**outcome {
            ActionOutcome::Executed(response) | ActionOutcome::Rerouted { response, .. } => {
                response
            }
            _ => return size_of::<ActionOutcome>(),
        };
        let headers = response
            .headers
            .iter()
            .map(|(name, value)| 48 + name.len() + value.len());
        size_of::<ActionOutcome>() + response.body.get().len() + headers.sum::<usize>()
    }
}
