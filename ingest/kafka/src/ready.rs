//! What is on loan and waits to be handed in, because other batches go first.

use acteon_core::{Delivery, Loan, Permit, Poison, Receipt};

use crate::record::Decoded;

/// On loan, and not yet handed in.
#[derive(Default)]
pub(crate) struct Ready {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) poison: Vec<Loan<Poison>>,
}

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.poison.is_empty()
    }

    /// Makes room for so many deliveries at once.
    pub(crate) fn reserve(&mut self, deliveries: usize) {
        self.deliveries.reserve(deliveries);
    }

    pub(crate) fn push(&mut self, decoded: Decoded, receipt: Receipt, permit: Permit) {
        match decoded {
            Ok(envelope) => self.deliveries.push(Loan::of(envelope, receipt, permit)),
            Err(poison) => self.poison.push(Loan::of(poison, receipt, permit)),
        }
    }

    /// Takes out at most `max` deliveries, and the poison.
    pub(crate) fn take(&mut self, max: usize) -> Self {
        let rest = match self.deliveries.len() > max {
            true => self.deliveries.split_off(max),
            false => Vec::new(),
        };
        Self {
            deliveries: std::mem::replace(&mut self.deliveries, rest),
            poison: std::mem::take(&mut self.poison),
        }
    }
}
