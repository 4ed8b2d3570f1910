//! How a stream is told what became of its messages. A [`Watermark`] is one way, for streams that remember one offset;
//! brokers that take an answer for each message are another.

use std::time::Duration;

use crate::watermark::Watermark;

/// One stream of messages, each known by its offset, sequence or delivery tag.
pub trait Settle {
    /// It has come to its end. True when that gives the broker something to hear of.
    fn ack(&mut self, offset: u64) -> bool;

    /// It is to come again after a while.
    fn later(&mut self, offset: u64, after: Duration) -> Keeper;

    /// It is never to come again, though it was not delivered: it is among the dead letters. As [`ack`](Self::ack).
    fn terminate(&mut self, offset: u64) -> bool;
}

/// Who keeps a message that is to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The broker, which delivers it again.
    Broker,
    /// The source: it holds it, or publishes a copy and acknowledges it then. Until then it is unsettled.
    Source,
}

impl Settle for Watermark {
    fn ack(&mut self, offset: u64) -> bool {
        self.settle(offset)
    }

    /// A stream with one offset brings nothing again before a restart.
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
