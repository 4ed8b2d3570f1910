//! How a stream learns the outcome of its messages. A [`Watermark`] is for streams that store one offset; other brokers
//! take an answer per message.

use std::time::Duration;

use crate::watermark::Watermark;

/// One stream of messages, each identified by its offset, sequence or delivery tag.
pub trait Settle {
    /// The message is settled. True if there is something to report to the broker.
    fn ack(&mut self, offset: u64) -> bool;

    /// The message must come again after a while.
    fn later(&mut self, offset: u64, after: Duration) -> Keeper;

    /// The message must never come again although it was not delivered: it is a dead letter. Returns the same as
    /// [`ack`](Self::ack).
    fn terminate(&mut self, offset: u64) -> bool;
}

/// Who keeps a message that must come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The broker, which delivers it again.
    Broker,
    /// The source: it holds the message, or publishes a copy and then acknowledges it. Until then it is unsettled.
    Source,
}

impl Settle for Watermark {
    fn ack(&mut self, offset: u64) -> bool {
        self.settle(offset)
    }

    /// A stream with one offset delivers nothing again before a restart.
    fn later(&mut self, _: u64, _: Duration) -> Keeper {
        Keeper::Source
    }

    fn terminate(&mut self, offset: u64) -> bool {
        self.settle(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_leaves_to_the_source_what_is_to_come_again() {
        let mut mark = Watermark::new(10);
        (5..8).for_each(|offset| {
            mark.begin(offset);
        });
        assert_eq!(mark.later(5, Duration::from_secs(1)), Keeper::Source);
        assert!(!mark.terminate(6));
        assert_eq!(mark.position(), Some(5), "5 is unsettled");
        assert!(mark.ack(5));
        assert_eq!(mark.position(), Some(7));
    }
}
