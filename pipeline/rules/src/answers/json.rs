//! The answers of the state as the playground shows them.

use acteon_core::state::{Answer, Carrying, Question};
use serde_json::{Value, json};

use super::{StateAnswers, StateRead};

impl StateAnswers {
    /// The answers as JSON, under the names of the same reads in `redacted`: the original names may contain secrets.
    pub(crate) fn to_json(&self, redacted: &[StateRead]) -> Value {
        let each = self.0.iter().filter_map(|(read, answer)| {
            let found = redacted.binary_search_by_key(&read.number, |read| read.number);
            Some(answer_json(&redacted[found.ok()?], answer))
        });
        each.collect()
    }
}

fn answer_json(read: &StateRead, answer: &Answer) -> Value {
    let name = read.name.as_str();
    match (&read.question, answer) {
        (Question::Tally(tally), Answer::Tally(tallied)) => json!({
            "key": name,
            "within_seconds": tally.within.as_secs(),
            "count": tallied.count,
            "last_seconds_ago": tallied.last.map(|last| last.as_secs_f64()),
        }),
        (Question::EventState(_), Answer::EventState(state)) => {
            json!({ "fingerprint": name, "state": state })
        }
        (Question::Event(_), Answer::Event(stored)) => {
            let state = stored.as_ref().map(|stored| &stored.record.state);
            json!({ "fingerprint": name, "state": state })
        }
        (Question::ActiveEvent(asked), Answer::ActiveEvent(active)) => {
            let value = match &asked.carrying {
                Carrying::Anything => Value::Null,
                Carrying::Value(value) => json!(value),
                Carrying::Named(value) => json!({ (value.name.as_str()): value.value }),
            };
            json!({ "event_type": name, "value": value, "active": active })
        }
        _ => Value::Null,
    }
}
