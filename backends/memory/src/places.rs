//! The throttle places of holds that have not ended: when they were taken and which quotas were full. So a place is
//! refunded once, and a reservation that is asked again takes no second one.

use acteon_core::state::Token;

use crate::key::HashedKey;
use crate::table::Perishable;

/// The places of one hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldPlaces {
    /// Made from the hold's token.
    key: HashedKey,
    /// When it is forgotten, in nanoseconds: once the hold has expired and the places have left their windows.
    pub(crate) until: u64,
    /// When the places were taken, in nanoseconds.
    pub(crate) taken_at: u64,
    /// Bit `i` is set if quota `i` was full.
    pub(crate) full_quotas: u64,
}

impl HeldPlaces {
    pub(crate) fn new(token: Token, full_quotas: u64, taken_at: u64, until: u64) -> Self {
        Self {
            key: HashedKey::of(token),
            until,
            taken_at,
            full_quotas,
        }
    }
}

impl Perishable for HeldPlaces {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}
