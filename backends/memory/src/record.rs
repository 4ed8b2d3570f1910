//! The record under a lease or dedup key: who holds it, or that it was delivered, and until when.

use acteon_core::state::Token;

use crate::key::HashedKey;
use crate::table::Perishable;

/// How long an expired lease is kept, in nanoseconds, so that a delivery that outlived it can be confirmed: as long as
/// the longest lease.
const AFTERLIFE: u64 = 3600 * 1_000_000_000;

/// The status of a lease or dedup key.
#[derive(Debug)]
pub(crate) enum KeyStatus {
    /// Held under this token.
    Pending(Token),
    /// Delivered. Further reservations are duplicates.
    Confirmed,
}

/// A lease or a dedup record. It takes 40 bytes, and there are millions.
#[derive(Debug)]
pub(crate) struct KeyRecord {
    pub(crate) key: HashedKey,
    /// When it expires, in nanoseconds.
    pub(crate) until: u64,
    pub(crate) status: KeyStatus,
}

impl KeyRecord {
    /// True if the hold of this token has the key, or had it last.
    pub(crate) fn is_held_by(&self, token: Token) -> bool {
        matches!(self.status, KeyStatus::Pending(holder) if holder == token)
    }
}

impl Perishable for KeyRecord {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        match self.status {
            KeyStatus::Pending(_) => now >= self.until.saturating_add(AFTERLIFE),
            KeyStatus::Confirmed => now >= self.until,
        }
    }
}
