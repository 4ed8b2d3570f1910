//! Counts over time: how often something happened in each slot of a window. One form serves throttles, rate limits and
//! tallies, and is stored as bytes.

/// Quotas up to this many places are exact. Greater ones have this many slots in each window.
const SLOTS: u32 = 64;
/// A tally may count what happened in the slot before its window.
const TALLY_SLOTS: i64 = 16;
/// The bytes of a slot: the time of the last event and the count, the lowest byte first.
const SLOT_BYTES: usize = 12;

/// The slots of a window that have counts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotCounts(Vec<Slot>);

/// What happened in one slot. It counts as a whole until the last of it has left the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// In nanoseconds since 1970.
    last: i64,
    count: u32,
}

/// The width of the slots of a quota.
pub(crate) fn quota_slot(max_count: u32, window: i64) -> i64 {
    match max_count {
        ..=SLOTS => 1,
        _ => (window / i64::from(SLOTS)).max(1),
    }
}

/// The width of the slots of a tally.
pub(crate) fn tally_slot(window: i64) -> i64 {
    (window / TALLY_SLOTS).max(1)
}

impl SlotCounts {
    /// From stored bytes.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
        let slot = |[a, b, c, d, e, f, g, h, i, j, k, l]: &[u8; SLOT_BYTES]| Slot {
            last: i64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
            count: u32::from_le_bytes([*i, *j, *k, *l]),
        };
        Self(slots.iter().map(slot).collect())
    }

    /// As stored bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * SLOT_BYTES);
        for slot in &self.0 {
            bytes.extend(slot.last.to_le_bytes());
            bytes.extend(slot.count.to_le_bytes());
        }
        bytes
    }

    /// Drops what has left a window that ends now.
    pub(crate) fn leave(&mut self, window: i64, now: i64) {
        let left = |slot: &Slot| slot.last.saturating_add(window) <= now;
        let left = self.0.iter().take_while(|slot| left(slot)).count();
        self.0.drain(..left);
    }

    /// Counts one. A clock that went back counts in the newest slot.
    pub(crate) fn add(&mut self, now: i64, width: i64) {
        match self.0.last_mut() {
            Some(slot) if now.div_euclid(width) <= slot.last.div_euclid(width) => {
                slot.last = slot.last.max(now);
                slot.count = slot.count.saturating_add(1);
            }
            _ => self.0.push(Slot {
                last: now,
                count: 1,
            }),
        }
    }

    /// Takes back one that was counted at this time, unless it has left.
    pub(crate) fn take_back(&mut self, counted_at: i64, width: i64) {
        let is_slot = |slot: &Slot| slot.last.div_euclid(width) == counted_at.div_euclid(width);
        if let Some(at) = self.0.iter().position(is_slot) {
            self.0[at].count -= 1;
            if self.0[at].count == 0 {
                self.0.remove(at);
            }
        }
    }

    /// All counts.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|slot| u64::from(slot.count)).sum()
    }

    /// When the last one was counted.
    pub(crate) fn last(&self) -> Option<i64> {
        self.0.last().map(|slot| slot.last)
    }

    /// How long it takes until `wanted` more fit. `None` if they fit now.
    pub(crate) fn wait(&self, max_count: u32, window: i64, wanted: u64, now: i64) -> Option<i64> {
        let wanted = self.total().saturating_add(wanted);
        let mut missing = wanted.checked_sub(max_count.into()).filter(|it| *it > 0)?;
        for slot in &self.0 {
            match missing.checked_sub(slot.count.into()) {
                Some(left @ 1..) => missing = left,
                _ => return Some(slot.last.saturating_add(window).saturating_sub(now).max(1)),
            }
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests;
