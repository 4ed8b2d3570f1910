//! How often a broker has delivered a message, for brokers that count.

use acteon_core::History;
use jiff::Timestamp;

/// A count of deliveries, including the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryCount(u32);

impl DeliveryCount {
    /// From a broker that counts all deliveries starting with 1, like JetStream.
    pub fn counted(all: u32) -> Self {
        Self(all.max(1))
    }

    /// From a broker that counts the earlier deliveries, like AMQP (`x-delivery-count`).
    pub fn after(earlier: u32) -> Self {
        Self(earlier.saturating_add(1))
    }

    /// The number of earlier deliveries.
    pub fn earlier(self) -> u32 {
        self.0 - 1
    }

    /// True if a broker that gives up after `max` deliveries will not deliver it again.
    pub fn is_last_of(self, max: u32) -> bool {
        self.0 >= max
    }

    /// The history of an action that carries none: the number of redeliveries, and `began_at` as the earliest possible
    /// start. `None` at the first delivery.
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
        assert_eq!(DeliveryCount::counted(3), DeliveryCount::after(2));
        assert_eq!(DeliveryCount::counted(0).earlier(), 0);
        assert!(
            DeliveryCount::counted(3).is_last_of(3) && !DeliveryCount::counted(2).is_last_of(3)
        );
    }

    #[test]
    fn redeliveries_are_the_history_of_an_action_that_brings_none() {
        let began_at = Timestamp::UNIX_EPOCH;
        assert_eq!(DeliveryCount::counted(1).history(began_at), None);
        let history = DeliveryCount::counted(4).history(began_at).unwrap();
        assert_eq!((history.redeliveries, history.attempts), (3, 0));
        assert_eq!(history.began_at, began_at);
    }
}
