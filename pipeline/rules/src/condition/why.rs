//! Says which condition did not hold and what it saw, for the playground and the trace.

use super::{Condition, Test};
use crate::facts::{Facts, Seen};
use crate::path::Source;

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
        Condition::Not(inner) => inner.holds(facts).then(|| match inner.as_ref() {
            Condition::Test(test) => described(test, "not ", facts, shown),
            _ => "the condition under `not` holds".to_owned(),
        }),
        Condition::Test(test) if test.operator.holds(facts.read(&test.path)) => None,
        Condition::Test(test) => Some(described(test, "", facts, shown)),
    }
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
