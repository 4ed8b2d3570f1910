//! How often a broker has delivered a message, where it counts that.

use acteon_core::History;
use jiff::Timestamp;

/// A count of deliveries, the present one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliveries(u32);

impl Deliveries {
    /// Of a broker that counts all deliveries from 1 on, as JetStream does.
    pub fn counted(all: u32) -> Self {
        Self(all.max(1))
    }

    /// Of a broker that counts the earlier ones, as AMQP does (`x-delivery-count`).
    pub fn after(earlier: u32) -> Self {
        Self(earlier.saturating_add(1))
    }

    /// How often it was delivered before.
    pub fn earlier(self) -> u32 {
        self.0 - 1
    }

    /// True when a broker that gives up after `max` deliveries does not deliver it again.
    pub fn is_last_of(self, max: u32) -> bool {
        self.0 >= max
    }

    /// What the count tells of an action that carries no history of its own: how often it came back, and that it was
    /// tried since `began_at` at the earliest. `None` at its first delivery.
    pub fn history(self, began_at: Timestamp) -> Option<Box<History>> {
        let mut history = History::beginning(began_at);
        history.redeliveries = self.earlier();
        (history.redeliveries > 0).then(|| Box::new(history))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_count_differently_mean_the_same() {
        assert_eq!(Deliveries::counted(3), Deliveries::after(2));
        assert_eq!(Deliveries::counted(0).earlier(), 0);
        assert!(Deliveries::counted(3).is_last_of(3) && !Deliveries::counted(2).is_last_of(3));
    }

    #[test]
    fn redeliveries_are_the_history_of_an_action_that_brings_none() {
        let began_at = Timestamp::UNIX_EPOCH;
        assert_eq!(Deliveries::counted(1).history(began_at), None);
        let history = Deliveries::counted(4).history(began_at).unwrap();
        assert_eq!((history.redeliveries, history.attempts), (3, 0));
        assert_eq!(history.began_at, began_at);
    }
}
