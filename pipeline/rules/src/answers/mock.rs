//! Answers from `mock_state` in place of the state's own, for the playground.

use std::time::Duration;

use acteon_core::state::{Answer, Carrying, EventValue, Question, TallyCount};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{StateAnswers, StateRead};
use crate::problems::quoted;

/// What is wrong with `mock_state`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MockError {
    /// It is not a JSON object.
    #[error("`mock_state` must be an object that maps keys to values")]
    NotAnObject,
    /// A value has the wrong type for the read of its key.
    #[error("`mock_state`: {key} takes {expected}")]
    #[allow(missing_docs)]
    Value { key: String, expected: &'static str },
}

impl StateAnswers {
    /// Answers from `mock`. The key of a tally maps to a count, or to whether the key was seen; a fingerprint maps to
    /// the event's state; an event type maps to whether such an event is active, or to the values it is active for. A
    /// key that `mock` does not contain has no count, no event and no state.
    ///
    /// # Errors
    /// The first value whose type does not fit the read.
    pub fn mocked(reads: Vec<StateRead>, mock: &Value) -> Result<Self, MockError> {
        let mock = mock.as_object().ok_or(MockError::NotAnObject)?;
        let answers: Result<Vec<_>, _> = reads.iter().map(|read| answer(read, mock)).collect();
        Ok(Self::new(reads, answers?))
    }
}

fn answer(read: &StateRead, mock: &Map<String, Value>) -> Result<Answer, MockError> {
    let value = mock.get(read.name.as_str()).unwrap_or(&Value::Null);
    let (answer, expected) = match &read.question {
        Question::Tally(_) => (tallied(value).map(Answer::Tally), "a count, or `true`"),
        Question::EventState(_) => (state(value), "the name of a state"),
        Question::Event(_) => (Some(Answer::Event(None)), ""),
        Question::ActiveEvent(asked) => (
            is_active(value, &asked.carrying).map(Answer::ActiveEvent),
            "`true`, or a list of values",
        ),
    };
    answer.ok_or_else(|| MockError::Value {
        key: quoted(&read.name),
        expected,
    })
}

fn tallied(value: &Value) -> Option<TallyCount> {
    let count = match value {
        Value::Null | Value::Bool(false) => 0,
        Value::Bool(true) => 1,
        other => other.as_u64()?,
    };
    let last = (count > 0).then_some(Duration::ZERO);
    Some(TallyCount { count, last })
}

fn state(value: &Value) -> Option<Answer> {
    match value {
        Value::Null => Some(Answer::EventState(None)),
        Value::String(state) => Some(Answer::EventState(Some(state.into()))),
        _ => None,
    }
}

fn is_active(value: &Value, carrying: &Carrying) -> Option<bool> {
    let asked = match carrying {
        Carrying::Anything => None,
        Carrying::Value(value) | Carrying::Named(EventValue { value, .. }) => Some(value.as_str()),
    };
    match (value, asked) {
        (Value::Null, _) => Some(false),
        (Value::Bool(active), _) => Some(*active),
        (Value::Array(values), None) => Some(!values.is_empty()),
        (Value::Array(values), Some(asked)) => {
            Some(values.iter().any(|value| value.as_str() == Some(asked)))
        }
        _ => None,
    }
}
