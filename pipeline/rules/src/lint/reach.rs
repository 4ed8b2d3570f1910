//! Rules that can never match: their condition cannot hold, or an earlier rule takes whatever they could.

use super::claims::Claim;
use super::earlier::Earlier;
use super::search::{Conflict, Goal, conflict};
use super::{Places, Warnings, get};
use crate::condition::Condition;
use crate::problems::quoted;
use crate::rule::{OnError, Rule};
use crate::set::RuleSet;

/// How many tests a message repeats.
const TOLD_MAX: usize = 4;

pub(super) fn warn(set: &RuleSet, places: &Places<'_>, warnings: &mut Warnings) {
    let mut earlier = Earlier::default();
    for (rule, _) in set.rules() {
        let Some((file, node)) = places.of_rule(rule) else {
            continue;
        };
        let name = quoted(&rule.name);
        if rule.enabled && matches_by_its_condition(rule) {
            if let Some(conflict) = conflict(&[Goal::holds(&rule.condition)]) {
                let place = get(node, "condition").unwrap_or(node).place;
                let message = format!("the rule {name} can never match: {}", told(&conflict));
                warnings.at(file, place, message);
                continue;
            }
            if let Some(first) = earlier.ends_whatever(rule) {
                let line = places.of_rule(first).map_or(0, |(_, node)| node.place.line);
                let message = format!(
                    "the rule {name} can never match: {} ({} line {line}) comes first, holds whenever it would, and ends the evaluation",
                    quoted(&first.name),
                    first.source,
                );
                warnings.at(file, node.place, message);
                continue;
            }
            if earlier.has_given_up() {
                let message = format!(
                    "from the rule {name} on it was not looked whether earlier rules leave anything to match: there are too many"
                );
                warnings.at(file, node.place, message);
            }
        }
        earlier.add(rule);
    }
}

/// What speaks against the condition.
fn told(conflict: &Conflict<'_>) -> String {
    match conflict {
        Conflict::NoWay => "an empty `any` never holds".to_owned(),
        Conflict::EachWay(first) => {
            format!(
                "none of its alternatives can hold; for the first one, {}",
                told(first)
            )
        }
        Conflict::Claims(claims) => {
            let mut expected: Vec<_> = claims
                .iter()
                .rev()
                .take(TOLD_MAX)
                .map(expectation)
                .collect();
            expected.reverse();
            expected.dedup();
            let path = claims.first().map(|claim| claim.test.path.to_string());
            let expected = expected.join(" and ");
            format!(
                "no value of `{}` satisfies {expected}",
                path.unwrap_or_default()
            )
        }
    }
}

fn expectation(claim: &Claim<'_>) -> String {
    let not = if claim.holds { "" } else { "not " };
    format!("{not}`{}`", claim.test.operator)
}

/// Whether all that could make the rule match is that its condition holds: one with another `on_error` than `skip` also
/// matches when its condition cannot be evaluated.
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
