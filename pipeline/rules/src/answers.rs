//! What one action reads from the state, and the answers. The rules are evaluated against the answers, so deciding does
//! no I/O. Which reads a rule set has is in `reads.rs`.

mod json;
mod mock;

pub use mock::MockError;

use std::time::Duration;

use acteon_core::state::{Answer, Question, Tally};
use compact_str::CompactString;

/// A read of the state for one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// The read's number in its rule set.
    pub(crate) number: u32,
    /// The rendered key, fingerprint or event type.
    pub(crate) name: CompactString,
    /// The question to the state.
    pub question: Question,
}

/// The answers to the reads of one action, in the order of the reads' numbers.
#[derive(Clone, Debug, Default)]
pub struct StateAnswers(Vec<(StateRead, Answer)>);

impl StateAnswers {
    /// `reads` as the rule set returned them; `answers` in the same order.
    pub fn new(reads: Vec<StateRead>, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(reads.into_iter().zip(answers).collect())
    }

    /// Adds to each tally the actions counted since the state answered.
    pub fn add(&mut self, counted: impl Fn(&Tally) -> u64) {
        for (read, answer) in &mut self.0 {
            if let (Question::Tally(tally), Answer::Tally(tallied)) = (&read.question, answer)
                && let more @ 1.. = counted(tally)
            {
                tallied.count = tallied.count.saturating_add(more);
                tallied.last = Some(Duration::ZERO);
            }
        }
    }

    /// The questions with their answers.
    pub fn iter(&self) -> impl Iterator<Item = (&Question, &Answer)> {
        let answered = self.0.iter();
        answered.map(|(read, answer)| (&read.question, answer))
    }

    /// Replaces answers by newer ones.
    pub fn replace(&mut self, newer: impl Fn(&Question) -> Option<Answer>) {
        for (read, answer) in &mut self.0 {
            if let Some(newer) = newer(&read.question) {
                *answer = newer;
            }
        }
    }

    /// The read with this number, and its answer.
    pub(crate) fn get(&self, number: u32) -> Option<(&StateRead, &Answer)> {
        let found = self
            .0
            .binary_search_by_key(&number, |(read, _)| read.number);
        let (read, answer) = &self.0[found.ok()?];
        Some((read, answer))
    }
}
