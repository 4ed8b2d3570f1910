//! Which reads of the state a rule set has, and the values its conditions take from the answers. Each distinct read
//! gets a number when the rules are loaded. The questions for one action and their answers are in `answers.rs`.

use std::time::Duration;

use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, EventStateQuestion, EventValue, Question, StateKey,
    Tally,
};
use compact_str::{CompactString, format_compact};
use hashbrown::HashMap;

use crate::answers::StateRead;
use crate::canonical::write_text;
use crate::facts::Facts;
use crate::fault::Fault;
use crate::fingerprint::FingerprintFields;
use crate::hash::shortened;
use crate::number::Number;
use crate::template::Template;
use crate::value::FactValue;

/// An argument of a function that reads events.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Argument {
    Plain(Template),
    /// A value under a name.
    Named(CompactString, Template),
}

/// A read as a rule writes it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum ReadTemplate {
    Tally {
        key: Template,
        within: Duration,
    },
    EventState {
        fingerprint: Template,
        grace: Duration,
    },
    /// The event that the action reports.
    Event(FingerprintFields),
    ActiveEvent {
        event_type: Template,
        value: Option<Argument>,
        grace: Duration,
    },
}

impl ReadTemplate {
    fn render(&self, number: u32, facts: &mut Facts<'_>) -> StateRead {
        let action = facts.action();
        let key = |name: &str| StateKey::new(&action.namespace, &action.tenant, "", name);
        let (name, question) = match self {
            Self::Tally { key: name, within } => {
                let name = name.to_text(facts);
                let with_window = format_compact!("{}:{name}", within.as_secs());
                let key = key(&shortened(&with_window));
                let within = *within;
                (name, Question::Tally(Tally { key, within }))
            }
            Self::EventState { fingerprint, grace } => {
                let name = fingerprint.to_text(facts);
                let asked = EventStateQuestion {
                    event: key(&name),
                    grace: *grace,
                };
                (name, Question::EventState(asked))
            }
            Self::Event(fields) => {
                let name = fields.fingerprint(facts);
                let question = Question::Event(key(&name));
                (name, question)
            }
            Self::ActiveEvent {
                event_type,
                value,
                grace,
            } => {
                let name = event_type.to_text(facts);
                let event_type = key(&name);
                let carrying = match value {
                    None => Carrying::Anything,
                    Some(Argument::Plain(value)) => Carrying::Value(value_text(value, facts)),
                    Some(Argument::Named(name, value)) => Carrying::Named(EventValue {
                        name: name.clone(),
                        value: value_text(value, facts),
                    }),
                };
                let asked = ActiveEventQuestion {
                    event_type,
                    carrying,
                    grace: *grace,
                };
                (name, Question::ActiveEvent(asked))
            }
        };
        StateRead {
            number,
            name,
            question,
        }
    }
}

/// A value as events carry it: equal numbers are one text, however they are written.
fn value_text(value: &Template, facts: &mut Facts<'_>) -> CompactString {
    let Template::Value(path) = value else {
        return value.to_text(facts);
    };
    let mut text = Vec::new();
    write_text(path, facts, &mut text);
    CompactString::from_utf8_lossy(&text)
}

/// Numbers the reads of a set while its files are loaded. Equal reads share a number.
#[derive(Debug, Default)]
pub(crate) struct ReadNumbers {
    numbers: HashMap<ReadTemplate, u32>,
    /// The reads of the rule being loaded.
    of_rule: Vec<u32>,
}

impl ReadNumbers {
    /// The number of a read.
    pub(crate) fn number(&mut self, read: ReadTemplate) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(read).or_insert(next);
        if !self.of_rule.contains(&number) {
            self.of_rule.push(number);
        }
        number
    }

    /// Puts back what was taken, to continue with the reads of the same rule.
    pub(crate) fn restore(&mut self, of_rule: Box<[u32]>) {
        self.of_rule = of_rule.into();
    }

    /// The numbers requested since the last call: the reads of one rule.
    pub(crate) fn take_of_rule(&mut self) -> Box<[u32]> {
        std::mem::take(&mut self.of_rule).into()
    }
}

/// All reads of a set, by number.
#[derive(Debug, Default)]
pub(crate) struct ReadTable(Box<[ReadTemplate]>);

impl From<ReadNumbers> for ReadTable {
    fn from(loaded: ReadNumbers) -> Self {
        let mut reads: Vec<_> = loaded.numbers.into_iter().collect();
        reads.sort_unstable_by_key(|(_, number)| *number);
        Self(reads.into_iter().map(|(read, _)| read).collect())
    }
}

impl ReadTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if one of these reads asks for events.
    pub(crate) fn are_of_events(&self, numbers: &[u32]) -> bool {
        let mut reads = numbers
            .iter()
            .filter_map(|number| self.0.get(*number as usize));
        reads.any(|read| !matches!(read, ReadTemplate::Tally { .. }))
    }

    /// True if one of these reads asks for an active event with a value under any name.
    pub(crate) fn compares_any_name(&self, numbers: &[u32]) -> bool {
        let mut reads = numbers
            .iter()
            .filter_map(|number| self.0.get(*number as usize));
        reads.any(|read| {
            matches!(
                read,
                ReadTemplate::ActiveEvent {
                    value: Some(Argument::Plain(_)),
                    ..
                }
            )
        })
    }

    /// The reads with these numbers for one action, without duplicates and in the order of their numbers.
    pub(crate) fn render(
        &self,
        numbers: impl Iterator<Item = u32>,
        facts: &mut Facts<'_>,
    ) -> Vec<StateRead> {
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        let templates = numbers
            .into_iter()
            .filter_map(|number| Some((number, self.0.get(number as usize)?)));
        templates
            .map(|(number, template)| template.render(number, facts))
            .collect()
    }
}

/// Which value a condition takes from an answer.
#[derive(Debug)]
pub(crate) enum StateValueKind {
    /// Whether an action was counted within the window.
    WasSeen,
    /// The number of actions counted within the window.
    Count,
    /// The event's state; nothing if there is no event.
    State,
    /// Whether the event is in this state.
    InState(Template),
    /// Whether an event is active.
    Active,
}

/// A value taken from an answer.
pub(crate) enum StateValue {
    Flag(bool),
    Count(u64),
    State(Option<CompactString>),
}

impl StateValue {
    pub(crate) fn as_fact(&self) -> FactValue<'_> {
        match self {
            Self::Flag(flag) => FactValue::Bool(*flag),
            Self::Count(count) => FactValue::Number(Number::Unsigned(*count)),
            Self::State(None) => FactValue::Nothing,
            Self::State(Some(state)) => FactValue::Text(state.as_bytes()),
        }
    }
}

impl StateValueKind {
    /// Whether it comes from a tally.
    pub(crate) fn is_of_tally(&self) -> bool {
        matches!(self, Self::WasSeen | Self::Count)
    }

    /// Takes the value from the answer to the read with this number. Records the tally, so that the action is counted
    /// in it later.
    pub(crate) fn take(&self, number: u32, facts: &mut Facts<'_>) -> Result<StateValue, Fault> {
        let (read, answer) = facts.answers().get(number).ok_or(Fault::StateUnknown)?;
        let question = &read.question;
        let value = match (self, answer) {
            (Self::WasSeen, Answer::Tally(tallied)) => StateValue::Flag(tallied.last.is_some()),
            (Self::Count, Answer::Tally(tallied)) => StateValue::Count(tallied.count),
            (Self::State | Self::InState(_), Answer::EventState(state)) => {
                let state = state.as_ref().filter(|_| !asks_for_nothing(read));
                StateValue::State(state.cloned())
            }
            (Self::Active, Answer::ActiveEvent(active)) => {
                StateValue::Flag(*active && !asks_for_nothing(read))
            }
            _ => return Err(Fault::StateUnknown),
        };
        if let Question::Tally(tally) = question {
            facts.record_tally(tally);
        }
        match (self, value) {
            (Self::InState(expected), StateValue::State(state)) => {
                let expected = expected.to_text(facts);
                let is_there = |state: CompactString| !expected.is_empty() && state == expected;
                Ok(StateValue::Flag(state.is_some_and(is_there)))
            }
            (_, value) => Ok(value),
        }
    }
}

/// True if an argument is absent or empty: the type or the fingerprint, or the value that an event must carry. Then no
/// event is meant, whatever there is.
fn asks_for_nothing(read: &StateRead) -> bool {
    let is_without_value = match &read.question {
        Question::ActiveEvent(asked) => match &asked.carrying {
            Carrying::Anything => false,
            Carrying::Value(value) | Carrying::Named(EventValue { value, .. }) => value.is_empty(),
        },
        Question::Tally(_) | Question::EventState(_) | Question::Event(_) => false,
    };
    is_without_value || read.name.is_empty()
}
