//! Says which condition did not hold, and for which value, for the playground and the trace.

use super::{Condition, StateTest, Test};
use crate::cel::StrictTest;
use crate::facts::Facts;
use crate::path::PathTarget;
use crate::problems::quoted;
use crate::value::FactValue;

/// How many characters of a value are shown.
const SHOWN_MAX: usize = 120;
/// How many branches of an `any` are explained.
const BRANCHES_MAX: usize = 3;

/// Why `condition` does not hold, with the values that it tested. `facts` decide; the values in the text come only from
/// `shown`, the same facts with secret fields replaced.
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

/// False on a fault: faults are reported elsewhere.
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
    let is_there = !matches!(facts.read(path), FactValue::Nothing);
    let value = match shown.read(path) {
        FactValue::Nothing if is_there => "hidden".to_owned(),
        FactValue::Nothing => "absent or null".to_owned(),
        _ if matches!(path.target, PathTarget::Environment(_)) => "not shown".to_owned(),
        found => value(found),
    };
    format!("{path} is {value}; expected {expectation}{}", test.operator)
}

/// "<read> is <answer>; expected <operator>".
fn answered(test: &StateTest, expectation: &str, facts: &mut Facts<'_>) -> String {
    let answer = match test.kind.take(test.number, facts) {
        Err(_) => "unknown".to_owned(),
        Ok(answer) => match answer.as_fact() {
            FactValue::Nothing => "nothing".to_owned(),
            found => value(found),
        },
    };
    let operators: Vec<_> = test.operators.iter().map(ToString::to_string).collect();
    let text = &test.text;
    let operators = operators.join(", ");
    format!("{text} is {answer}; expected {expectation}{operators}")
}

fn value(value: FactValue<'_>) -> String {
    let mut json = Vec::new();
    value.write_json(&mut json);
    let text = String::from_utf8_lossy(&json).into_owned();
    match text.char_indices().nth(SHOWN_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
