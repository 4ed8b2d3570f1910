//! What was read of the state, as the playground tells it.

use acteon_core::state::{Answer, Question};
use serde_json::{Value, json};

use super::{Gathered, Read};

/// The answers, under the names that `shown` has for the same reads: those may hold what is not to be shown.
pub(crate) fn told(gathered: &Gathered, shown: &[Read]) -> Value {
    let each = gathered.iter().filter_map(|(read, answer)| {
        let found = shown.binary_search_by_key(&read.number, |shown| shown.number);
        Some(one(&shown[found.ok()?], answer))
    });
    each.collect()
}

fn one(shown: &Read, answer: &Answer) -> Value {
    let name = shown.name.as_str();
    match (&shown.question, answer) {
        (Question::Tally(tally), Answer::Tally(tallied)) => json!({
            "key": name,
            "within_seconds": tally.within.as_secs(),
            "count": tallied.count,
            "last_seconds_ago": tallied.last.map(|last| last.as_secs_f64()),
        }),
        (Question::EventState(_), Answer::EventState(state)) => {
            json!({ "fingerprint": name, "state": state })
        }
        (Question::ActiveEvent { value, .. }, Answer::ActiveEvent(active)) => {
            json!({ "event_type": name, "value": value, "active": active })
        }
        _ => Value::Null,
    }
}
