//! How long messages have been on loan, for brokers that need a regular signal that work on a message continues.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use crate::inbox::EpochOffset;

/// The messages on loan, ordered by the time of their last signal to the broker.
#[derive(Debug, Default)]
pub struct Ages {
    heard_at: HashMap<EpochOffset, Instant>,
    /// Instant, epoch and offset.
    by_age: BTreeSet<(Instant, u32, u64)>,
}

impl Ages {
    /// The message is on loan from `now` on.
    pub fn begin(&mut self, loan: EpochOffset, now: Instant) {
        self.end(loan);
        self.heard_at.insert(loan, now);
        self.by_age.insert((now, loan.epoch, loan.offset));
    }

    /// The message is not on loan any more.
    pub fn end(&mut self, loan: EpochOffset) {
        if let Some(heard_at) = self.heard_at.remove(&loan) {
            self.by_age.remove(&(heard_at, loan.epoch, loan.offset));
        }
    }

    /// When the broker must get a signal for the oldest message, with one signal every `interval`.
    pub fn next_due(&self, interval: Duration) -> Option<Instant> {
        let (heard_at, _, _) = self.by_age.first()?;
        Some(*heard_at + interval)
    }

    /// Takes a message for which the broker has had no signal for `interval`; the caller sends one now. `None` if there
    /// is none.
    pub fn due(&mut self, now: Instant, interval: Duration) -> Option<EpochOffset> {
        if self.next_due(interval)? > now {
            return None;
        }
        let (_, epoch, offset) = *self.by_age.first()?;
        let loan = EpochOffset { epoch, offset };
        self.begin(loan, now);
        Some(loan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn loan(offset: u64) -> EpochOffset {
        EpochOffset { epoch: 0, offset }
    }

    #[test]
    fn the_broker_hears_of_each_loan_once_an_interval_while_it_lasts() {
        let mut ages = Ages::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for offset in 0..3 {
            ages.begin(loan(offset), at(offset));
        }
        ages.end(loan(1));
        assert_eq!(ages.due(at(9), INTERVAL), None);
        let mut due = |now| ages.due(now, INTERVAL).map(|loan| loan.offset);
        assert_eq!(
            [due(at(12)), due(at(12)), due(at(12))],
            [Some(0), Some(2), None]
        );
        assert_eq!(ages.next_due(INTERVAL), Some(at(22)));
    }

    #[test]
    fn what_has_ended_is_not_remembered() {
        let mut ages = Ages::default();
        let now = Instant::now();
        ages.begin(loan(1), now);
        ages.end(loan(1));
        ages.end(loan(1));
        assert_eq!(ages.next_due(INTERVAL), None);
        assert!(ages.heard_at.is_empty());
    }
}
