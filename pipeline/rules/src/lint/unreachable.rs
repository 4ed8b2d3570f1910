//! Rules that can never match: their condition cannot hold, or an earlier rule always ends the evaluation first.

use super::assertions::Assertion;
use super::earlier::Earlier;
use super::search::{Conflict, Goal, conflict};
use super::{Places, RuleText, Warnings, get};
use crate::condition::Condition;
use crate::problems::quoted;
use crate::rule::{OnError, Rule};
use crate::set::RuleSet;

/// How many tests a message repeats.
const REPEATED_MAX: usize = 4;

pub(super) fn warn(set: &RuleSet, places: &Places<'_>, warnings: &mut Warnings) {
    let mut earlier = Earlier::default();
    for (rule, _) in set.rules() {
        let Some(RuleText { file, node }) = places.of_rule(rule) else {
            continue;
        };
        let name = quoted(&rule.name);
        if rule.enabled && matches_by_its_condition(rule) {
            if let Some(conflict) = conflict(&[Goal::holds(&rule.condition)]) {
                let place = get(node, "condition").unwrap_or(node).place;
                let message = format!("the rule {name} can never match: {}", described(&conflict));
                warnings.at(file, place, message);
                continue;
            }
            if let Some(first) = earlier.ends_whatever(rule) {
                let line = places.of_rule(first).map_or(0, |text| text.node.place.line);
                let message = format!(
                    "the rule {name} can never match: {} ({} line {line}) comes first, holds whenever this rule would, and ends the evaluation",
                    quoted(&first.name),
                    first.source,
                );
                warnings.at(file, node.place, message);
                continue;
            }
            if earlier.has_given_up() {
                let message = format!(
                    "from the rule {name} on, rules are not checked against earlier rules: there are too many"
                );
                warnings.at(file, node.place, message);
            }
        }
        earlier.add(rule);
    }
}

/// The conflict in words.
fn described(conflict: &Conflict<'_>) -> String {
    match conflict {
        Conflict::NoAlternative => "an empty `any` never holds".to_owned(),
        Conflict::EveryAlternative(first) => {
            format!(
                "none of its alternatives can hold; in the first one, {}",
                described(first)
            )
        }
        Conflict::Assertions(assertions) => {
            let mut expected: Vec<_> = assertions
                .iter()
                .rev()
                .take(REPEATED_MAX)
                .map(expectation)
                .collect();
            expected.reverse();
            expected.dedup();
            let path = assertions
                .first()
                .map(|assertion| assertion.test.path.to_string());
            let expected = expected.join(" and ");
            format!(
                "no value of `{}` satisfies {expected}",
                path.unwrap_or_default()
            )
        }
    }
}

fn expectation(assertion: &Assertion<'_>) -> String {
    let not = if assertion.holds { "" } else { "not " };
    format!("{not}`{}`", assertion.test.operator)
}

/// Whether the rule matches only if its condition holds. Unless `on_error` is `skip`, it also matches if its condition
/// cannot be evaluated.
fn matches_by_its_condition(rule: &Rule) -> bool {
    rule.on_error == OnError::Skip || only_tests(&rule.condition)
}

fn only_tests(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().all(only_tests),
        Condition::Not(inner) => only_tests(inner),
        Condition::Test(_) => true,
        _ => false,
    }
}
