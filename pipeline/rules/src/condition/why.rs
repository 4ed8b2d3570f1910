//! Says which condition did not hold and what it saw, for the playground and the trace.

use super::{Condition, StateTest, Test};
use crate::cel::StrictTest;
use crate::facts::{Facts, Seen};
use crate::path::Source;
use crate::problems::quoted;

/// How many characters of a value are shown.
const SHOWN_MAX: usize = 120;
/// How many branches of an `any` are told.
const BRANCHES_MAX: usize = 3;

/// Why `condition` does not hold, with the values it saw. `facts` decide; `shown` are the same facts with secret
/// fields replaced, and only from them values are repeated.
pub(crate) fn why_not(
    condition: &Condition,
    facts: &mut Facts<'_>,
    shown: &mut Facts<'_>,
) -> Option<String> {
    match condition {
        Condition::All(parts) => parts.iter().find_map(|part| why_not(part, facts, shown)),
        Condition::Any(parts) => any(parts, facts, shown),
        Condition::Not(inner) if !holds(inner, facts) => None,
        Condition::Not(inner) => Some(match inner.as_ref() {
            Condition::Test(test) | Condition::Strict(StrictTest(test)) => {
                described(test, "not ", facts, shown)
            }
            Condition::State(test) => answered(test, "not ", facts),
            _ => "the condition under `not` holds".to_owned(),
        }),
        Condition::State(_) if holds(condition, facts) => None,
        Condition::State(test) => Some(answered(test, "", facts)),
        Condition::Strict(_) | Condition::Has(_) | Condition::Cel(_) if holds(condition, facts) => {
            None
        }
        Condition::Has(path) => Some(format!("has({path}) is false")),
        Condition::Strict(StrictTest(test)) => Some(described(test, "", facts, shown)),
        Condition::Cel(program) => Some(format!("CEL {} is false", quoted(program.text()))),
        Condition::Test(test) if test.operator.holds(facts.read(&test.path)) => None,
        Condition::Test(test) => Some(described(test, "", facts, shown)),
    }
}

/// Faults are told elsewhere.
fn holds(condition: &Condition, facts: &mut Facts<'_>) -> bool {
    condition.holds(facts).unwrap_or_default()
}

fn any(parts: &[Condition], facts: &mut Facts<'_>, shown: &mut Facts<'_>) -> Option<String> {
    let mut reasons = Vec::new();
    for part in parts {
        let reason = why_not(part, facts, shown)?;
        if reasons.len() < BRANCHES_MAX {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() {
        return Some("an empty `any` never holds".to_owned());
    }
    let more = if parts.len() > BRANCHES_MAX {
        "; ..."
    } else {
        ""
    };
    Some(format!("none of: {}{more}", reasons.join("; ")))
}

/// "<path> is <value>; expected <operator>".
fn described(
    test: &Test,
    expectation: &str,
    facts: &mut Facts<'_>,
    shown: &mut Facts<'_>,
) -> String {
    let path = &test.path;
    let is_there = !matches!(facts.read(path), Seen::Nothing);
    let value = match shown.read(path) {
        Seen::Nothing if is_there => "hidden".to_owned(),
        Seen::Nothing => "absent or null".to_owned(),
        _ if matches!(path.source, Source::Environment(_)) => "not shown".to_owned(),
        seen => value(seen),
    };
    format!("{path} is {value}; expected {expectation}{}", test.operator)
}

/// "<what was asked> is <answer>; expected <operator>".
fn answered(test: &StateTest, expectation: &str, facts: &mut Facts<'_>) -> String {
    let answer = match test.reading.of(test.number, facts) {
        Err(_) => "not known".to_owned(),
        Ok(known) => match known.seen() {
            Seen::Nothing => "nothing".to_owned(),
            seen => value(seen),
        },
    };
    let operators: Vec<_> = test.operators.iter().map(ToString::to_string).collect();
    let (text, operators) = (&test.text, operators.join(", "));
    format!("{text} is {answer}; expected {expectation}{operators}")
}

fn value(seen: Seen<'_>) -> String {
    let Ok(json) = seen.to_json() else {
        return "unreadable".to_owned();
    };
    let text = json.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
