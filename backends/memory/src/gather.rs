//! Answers the questions of rules and counts actions, in a locked shard.

use acteon_core::state::{Answer, GRACE_MAX, Question, Tally};
use jiff::Timestamp;

use crate::key::HashedKey;
use crate::shards::Locked;
use crate::table::nanos;
use crate::tally::TallyWindow;

impl Locked<'_> {
    /// `time` is the wall-clock time.
    pub(crate) fn answer(
        &mut self,
        question: &Question,
        key: HashedKey,
        time: Timestamp,
    ) -> Answer {
        let now = self.now;
        let shard = self.shard(key);
        match question {
            Question::Tally(tally) => Answer::Tally(shard.tallied(key, window_of(tally), now)),
            Question::EventState(asked) => {
                let grace = asked.grace.min(GRACE_MAX);
                let stored = shard.event(key, now);
                let state = stored.map(|stored| stored.record.state_at(time, grace).clone());
                Answer::EventState(state)
            }
            Question::Event(_) => Answer::Event(shard.event(key, now)),
            Question::ActiveEvent(asked) => {
                let grace = nanos(asked.grace.min(GRACE_MAX));
                Answer::ActiveEvent(shard.index.is_active(key, now, grace))
            }
        }
    }

    /// False if there was no room.
    pub(crate) fn count(&mut self, tally: &Tally, key: HashedKey) -> bool {
        let now = self.now;
        self.shard(key).count(key, window_of(tally), now)
    }
}

fn window_of(tally: &Tally) -> TallyWindow {
    TallyWindow::new(nanos(tally.within))
}
