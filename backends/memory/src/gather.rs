//! Answers the questions of rules and counts actions, in a locked shard.

use acteon_core::state::{Answer, Question, Tally};

use crate::key::Key;
use crate::shards::Locked;
use crate::tally::Span;
use crate::time::nanos;

impl Locked<'_> {
    pub(crate) fn answer(&mut self, question: &Question, key: Key) -> Answer {
        let now = self.now;
        let shard = self.shard(key);
        match question {
            Question::Tally(tally) => Answer::Tally(shard.tallied(key, span_of(tally), now)),
            Question::EventState(_) => Answer::EventState(shard.event_state(key, now)),
            Question::ActiveEvent { .. } => Answer::ActiveEvent(shard.is_active(key)),
        }
    }

    /// False if there was no room.
    pub(crate) fn count(&mut self, tally: &Tally, key: Key) -> bool {
        let now = self.now;
        self.shard(key).count(key, span_of(tally), now)
    }
}

fn span_of(tally: &Tally) -> Span {
    Span::new(nanos(tally.within))
}
