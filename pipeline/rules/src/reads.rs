//! What the rules of a set read of the state. Worked out at load, where each distinct read gets a number; asked for
//! each action as it came, before the rules see it; answered by number while they do. So deciding does no I/O.

mod mock;
mod told;

pub use mock::MockError;
pub(crate) use told::told;

use std::time::Duration;

use acteon_core::state::{Answer, Question, StateKey, Tally};
use compact_str::{CompactString, format_compact};
use hashbrown::HashMap;

use crate::facts::{Facts, Seen};
use crate::fault::Fault;
use crate::key::shortened;
use crate::template::Template;

/// What an action asks the state, for the read of this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub(crate) number: u32,
    /// The rendered key, fingerprint or event type.
    pub(crate) name: CompactString,
    /// What is asked.
    pub question: Question,
}

/// The answers to what one action asked, in the order of the reads' numbers.
#[derive(Clone, Debug, Default)]
pub struct Gathered(Vec<(Read, Answer)>);

impl Gathered {
    /// `reads` as a set asked them; `answers` stand in the order of the questions.
    pub fn new(reads: Vec<Read>, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(reads.into_iter().zip(answers).collect())
    }

    /// Adds to each tally what was noted since the state answered.
    pub fn add(&mut self, noted: impl Fn(&Tally) -> u64) {
        for (read, answer) in &mut self.0 {
            if let (Question::Tally(tally), Answer::Tally(tallied)) = (&read.question, answer)
                && let more @ 1.. = noted(tally)
            {
                tallied.count = tallied.count.saturating_add(more);
                tallied.last = Some(Duration::ZERO);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Read, Answer)> {
        self.0.iter()
    }

    pub(crate) fn answer(&self, number: u32) -> Result<(&Question, &Answer), Fault> {
        let found = self
            .0
            .binary_search_by_key(&number, |(read, _)| read.number);
        let (read, answer) = &self.0[found.map_err(|_| Fault::NotGathered)?];
        Ok((&read.question, answer))
    }
}

/// A read as a rule writes it. Equal texts are one read.
#[derive(Debug)]
pub(crate) enum ReadTemplate {
    Tally {
        key: Template,
        within: Duration,
    },
    EventState {
        fingerprint: Template,
    },
    ActiveEvent {
        event_type: Template,
        value: Option<Template>,
    },
}

impl ReadTemplate {
    fn read(&self, number: u32, facts: &mut Facts<'_>) -> Read {
        let action = facts.action();
        let key = |name: &str| StateKey::new(&action.namespace, &action.tenant, "", name);
        let (name, question) = match self {
            Self::Tally { key: name, within } => {
                let name = name.to_text(facts);
                let own = format_compact!("{}:{name}", within.as_secs());
                let (key, within) = (key(&shortened(&own)), *within);
                (name, Question::Tally(Tally { key, within }))
            }
            Self::EventState { fingerprint } => {
                let name = fingerprint.to_text(facts);
                let question = Question::EventState(key(&name));
                (name, question)
            }
            Self::ActiveEvent { event_type, value } => {
                let name = event_type.to_text(facts);
                let event_type = key(&name);
                let value = value.as_ref().map(|value| value.to_text(facts));
                (name, Question::ActiveEvent { event_type, value })
            }
        };
        Read {
            number,
            name,
            question,
        }
    }
}

/// All reads of a set.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    templates: Vec<ReadTemplate>,
    /// By how they are written.
    numbers: HashMap<String, u32>,
    /// Those named since [`Reads::named`] was last asked.
    named: Vec<u32>,
}

impl Reads {
    /// The number of a read; equal ones share it.
    pub(crate) fn number(&mut self, read: ReadTemplate) -> u32 {
        let text = format!("{read:?}");
        let next = u32::try_from(self.templates.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.templates.push(read);
        }
        if !self.named.contains(&number) {
            self.named.push(number);
        }
        number
    }

    /// The reads that one rule has named, which is the one read since the last call.
    pub(crate) fn named(&mut self) -> Box<[u32]> {
        std::mem::take(&mut self.named).into()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// Asks for the reads of these numbers, once each and in their order.
    pub(crate) fn ask(
        &self,
        numbers: impl Iterator<Item = u32>,
        facts: &mut Facts<'_>,
    ) -> Vec<Read> {
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        let known = numbers
            .into_iter()
            .filter_map(|number| Some((number, self.templates.get(number as usize)?)));
        known
            .map(|(number, template)| template.read(number, facts))
            .collect()
    }
}

/// What a condition makes of an answer.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Whether an action was noted in the window.
    Seen,
    /// How many were.
    Count,
    /// The state of the event; nothing when there is none.
    State,
    /// Whether the event is in this state.
    InState(Template),
    /// Whether an event is active.
    Active,
}

/// A value taken from an answer.
pub(crate) enum Known {
    Flag(bool),
    Count(u64),
    State(Option<CompactString>),
}

impl Known {
    pub(crate) fn seen(&self) -> Seen<'_> {
        match self {
            Self::Flag(flag) => Seen::Bool(*flag),
            Self::Count(count) => Seen::Number(crate::number::Number::Unsigned(*count)),
            Self::State(None) => Seen::Nothing,
            Self::State(Some(state)) => Seen::Text(state.as_bytes()),
        }
    }
}

impl Reading {
    /// Whether it is of a tally.
    pub(crate) fn notes(&self) -> bool {
        matches!(self, Self::Seen | Self::Count)
    }

    /// The value of the read of this number. A tally that is looked at is noted.
    pub(crate) fn of(&self, number: u32, facts: &mut Facts<'_>) -> Result<Known, Fault> {
        let (question, answer) = facts.gathered().answer(number)?;
        let known = match (self, answer) {
            (Self::Seen, Answer::Tally(tallied)) => Known::Flag(tallied.last.is_some()),
            (Self::Count, Answer::Tally(tallied)) => Known::Count(tallied.count),
            (Self::State | Self::InState(_), Answer::EventState(state)) => {
                Known::State(state.clone())
            }
            (Self::Active, Answer::ActiveEvent(active)) => Known::Flag(*active),
            _ => return Err(Fault::NotGathered),
        };
        if let Question::Tally(tally) = question {
            facts.note(tally);
        }
        match (self, known) {
            (Self::InState(expected), Known::State(state)) => {
                let expected = expected.to_text(facts);
                Ok(Known::Flag(state.is_some_and(|state| state == expected)))
            }
            (_, known) => Ok(known),
        }
    }
}
