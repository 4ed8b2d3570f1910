//! The port from the sources into the pipeline.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use async_trait::async_trait;

use crate::delivery::{Delivery, Loan, Poison};
use crate::outcome::Failure;

/// Receives the messages that sources read.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Decides and reserves a batch, in order, and passes each action to its provider. Returns when the caller may
    /// submit more.
    /// - A reader whose actions all go to one provider waits here while that provider's queue is full. No other reader
    ///   waits for a provider.
    /// - Each delivery is settled once, during this call or later.
    /// - Dropping the future returns the deliveries not yet passed on.
    async fn submit(&self, batch: Vec<Delivery>, feed: &Feed);

    /// Stores messages that cannot be decoded as dead letters.
    async fn dead_letter(&self, poison: Vec<Loan<Poison>>);

    /// Stores an action as a dead letter because its source has no place to keep it until a later delivery.
    async fn give_up(&self, delivery: Delivery, failure: Failure);
}

/// The providers that one reader has fed since it started: none, one, or several. Backpressure applies only to a reader
/// that feeds one. If it feeds several, trouble at one must not block the others.
#[derive(Debug)]
pub struct Feed(AtomicU32);

impl Feed {
    const NONE: u32 = u32::MAX;
    const SEVERAL: u32 = u32::MAX - 1;

    /// Records that an action goes to the provider with this number.
    pub fn add(&self, provider: u32) {
        let before = self.0.load(Relaxed);
        if before == Self::NONE {
            self.0.store(provider, Relaxed);
        } else if before != provider && before != Self::SEVERAL {
            self.0.store(Self::SEVERAL, Relaxed);
        }
    }

    /// True if actions went to more than one provider.
    pub fn is_mixed(&self) -> bool {
        self.0.load(Relaxed) == Self::SEVERAL
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self(AtomicU32::new(Self::NONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_mixed_from_its_second_provider_on() {
        let feed = Feed::default();
        assert!(!feed.is_mixed());
        feed.add(3);
        feed.add(3);
        assert!(!feed.is_mixed());
        feed.add(0);
        feed.add(3);
        assert!(feed.is_mixed());
    }
}
