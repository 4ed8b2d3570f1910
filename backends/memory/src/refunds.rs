//! Remembers the last refunds, so that none is given twice.

use std::collections::{HashSet, VecDeque};

use crate::key::HashedKey;

/// The number of refunds remembered.
const REFUNDS_MAX: usize = 4096;

/// A place taken by a grant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    pub(crate) fence: u64,
    /// The index of the quota in the grant.
    pub(crate) quota: usize,
    /// When it was taken, in nanoseconds.
    pub(crate) at: u64,
}

#[derive(Default)]
pub(crate) struct Refunds {
    known: HashSet<(u64, usize, HashedKey)>,
    order: VecDeque<(u64, usize, HashedKey)>,
}

impl Refunds {
    pub(crate) fn is_first(&mut self, charge: Charge, key: HashedKey) -> bool {
        let refund = (charge.fence, charge.quota, key);
        let is_first = self.known.insert(refund);
        if is_first {
            self.order.push_back(refund);
        }
        if self.order.len() > REFUNDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        is_first
    }
}
