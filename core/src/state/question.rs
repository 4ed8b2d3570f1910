//! The questions that rules ask about the state, and the answers.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;

use super::{ActiveEventQuestion, EventStateQuestion, StateKey, StoredEvent};

/// A question that rules ask about the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// How often actions were counted under a key.
    Tally(Tally),
    /// The state of an event.
    EventState(EventStateQuestion),
    /// An event as it is stored. The key's name is the fingerprint; its owner is empty.
    Event(StateKey),
    /// Whether an event of a type is active.
    ActiveEvent(ActiveEventQuestion),
}

/// A key under which actions are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tally {
    /// The key. Each window of a key is counted separately.
    pub key: StateKey,
    /// The length of the window that is counted.
    pub within: Duration,
}

/// The answers of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The time by the backend's clock, which all instances share.
    pub now: Timestamp,
    /// In the order of the questions.
    pub answers: Vec<Answer>,
}

/// The answer to a [`Question`], of the same variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answers [`Question::Tally`].
    Tally(TallyCount),
    /// Answers [`Question::EventState`]. `None` if there is no such event.
    EventState(Option<CompactString>),
    /// Answers [`Question::Event`]. `None` if there is no such event.
    Event(Option<Arc<StoredEvent>>),
    /// Answers [`Question::ActiveEvent`].
    ActiveEvent(bool),
}

/// The count under a key inside its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallyCount {
    /// How often. Everything inside the window is counted. Entries from the sixteenth of a window before it may be
    /// counted too: the count is never too low, and too high by at most those entries. Zero if `last` is `None`.
    pub count: u64,
    /// The exact age of the last entry. `None` if it is as old as the window or older.
    pub last: Option<Duration>,
}
