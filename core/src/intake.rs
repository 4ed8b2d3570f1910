//! The port from the sources into the pipeline.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use async_trait::async_trait;

use crate::delivery::{Delivery, Loan, Poison};
use crate::outcome::Failure;

/// Takes what sources have read.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Decides and reserves these, in this order, and hands them to their providers. Returns when the caller may
    /// hand in more. A reader of which all actions go to one provider waits here while that one's queue is full;
    /// nobody else waits for a provider. Each delivery is settled once, in this call or later. Dropping the future
    /// gives back what was not handed on.
    async fn submit(&self, batch: Vec<Delivery>, feed: &Feed);

    /// Puts messages that cannot be decoded among the dead letters.
    async fn bury(&self, poison: Vec<Loan<Poison>>);

    /// Puts an action among the dead letters that its source can keep nowhere until a later delivery.
    async fn give_up(&self, delivery: Delivery, why: Failure);
}

/// Which providers one reader has fed since it began: none, one, or several. Back-pressure is for a reader that feeds
/// one; where several are fed, the trouble of one must not hold up the others.
#[derive(Debug)]
pub struct Feed(AtomicU32);

impl Feed {
    const NONE: u32 = u32::MAX;
    const SEVERAL: u32 = u32::MAX - 1;

    /// Notes that an action goes to the provider of this number.
    pub fn note(&self, provider: u32) {
        let before = self.0.load(Relaxed);
        if before == Self::NONE {
            self.0.store(provider, Relaxed);
        } else if before != provider && before != Self::SEVERAL {
            self.0.store(Self::SEVERAL, Relaxed);
        }
    }

    /// True when actions went to more than one provider.
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
        feed.note(3);
        feed.note(3);
        assert!(!feed.is_mixed());
        feed.note(0);
        feed.note(3);
        assert!(feed.is_mixed());
    }
}
