//! The rules before the current one, and which of them ends the evaluation whenever the current one would match. They
//! are grouped by a fact that a condition must name to imply theirs, so that a rule is not compared with all earlier
//! rules.

use hashbrown::{HashMap, HashSet};

use super::assertions::{Assertion, FactId};
use super::search::{Goal, conflict};
use crate::cel::StrictTest;
use crate::condition::{Condition, Test};
use crate::path::PathTarget;
use crate::rule::{AfterMatch, OnError, Rule, RuleAction};
use crate::value::FactValue;
use acteon_core::state::QUOTAS_MAX;

/// How many pairs of rules are compared.
const COMPARED_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Earlier<'r> {
    ending: HashMap<GroupKey<'r>, Vec<Ending<'r>>>,
    /// The number of rules added.
    seen: usize,
    /// The number after the last rule that changes the payload.
    modified: usize,
    throttles: usize,
    compared: usize,
}

/// A fact that a condition names, with the text it is compared with, if any; or nothing.
type GroupKey<'c> = Option<(FactId<'c>, Option<&'c [u8]>)>;

/// A rule that ends the evaluation if its condition holds.
struct Ending<'r> {
    rule: &'r Rule,
    /// Its number among all rules.
    number: usize,
    reads_payload: bool,
}

impl<'r> Earlier<'r> {
    /// The rule that ends the evaluation whenever the condition of `rule` holds.
    pub(super) fn ends_whatever(&mut self, rule: &'r Rule) -> Option<&'r Rule> {
        let mut keys = vec![None];
        named(&rule.condition, &mut keys);
        let mut known = HashSet::new();
        keys.retain(|key| known.insert(*key));
        for ending in keys.iter().filter_map(|key| self.ending.get(key)).flatten() {
            // `rule` may see another payload than the earlier rule did.
            if ending.reads_payload && ending.number < self.modified {
                continue;
            }
            if self.compared >= COMPARED_MAX {
                return None;
            }
            self.compared += 1;
            let first = &ending.rule.condition;
            if conflict(&[Goal::holds(&rule.condition), Goal::does_not_hold(first)]).is_some() {
                return Some(ending.rule);
            }
        }
        None
    }

    /// Whether there were too many pairs to compare; true only once.
    pub(super) fn has_given_up(&mut self) -> bool {
        let now = self.compared == COMPARED_MAX;
        self.compared += usize::from(now);
        now
    }

    pub(super) fn add(&mut self, rule: &'r Rule) {
        if rule.enabled && self.ends(rule) {
            let key = self.key(&rule.condition);
            self.ending.entry(key).or_default().push(Ending {
                rule,
                number: self.seen,
                reads_payload: reads_payload(&rule.condition),
            });
        }
        self.seen += 1;
        match rule.action {
            RuleAction::Throttle { .. } => self.throttles += 1,
            RuleAction::Modify(_) => self.modified = self.seen,
            _ => {}
        }
    }

    /// Whether a match of the rule ends the evaluation, even if the rule cannot be applied.
    fn ends(&self, rule: &Rule) -> bool {
        let could_fail = match &rule.action {
            RuleAction::Deny(_)
            | RuleAction::Suppress(_)
            | RuleAction::Group(_)
            | RuleAction::StateMachine(_) => return true,
            RuleAction::Modify(_) => true,
            RuleAction::Throttle { .. } => self.throttles >= QUOTAS_MAX,
            _ => false,
        };
        rule.after_match == AfterMatch::Stop && (rule.on_error != OnError::Skip || !could_fail)
    }

    /// A fact that every condition implying this one must name: the one with the fewest rules so far.
    fn key(&self, condition: &'r Condition) -> GroupKey<'r> {
        if conflict(&[Goal::does_not_hold(condition)]).is_some() {
            return None;
        }
        let mut keys = Vec::new();
        needed(condition, &mut keys);
        let filed = |key: &GroupKey<'_>| self.ending.get(key).map_or(0, Vec::len);
        keys.into_iter().min_by_key(filed).flatten()
    }
}

fn needed<'c>(condition: &'c Condition, keys: &mut Vec<GroupKey<'c>>) {
    match condition {
        Condition::All(parts) => parts.iter().for_each(|part| needed(part, keys)),
        Condition::Test(test) => {
            let assertion = Assertion { test, holds: true };
            let only = match assertion.values().as_deref() {
                Some([FactValue::Text(text)]) => Some(*text),
                _ => None,
            };
            keys.push(Some((assertion.fact(), only)));
        }
        _ => {}
    }
}

fn named<'c>(condition: &'c Condition, keys: &mut Vec<GroupKey<'c>>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| named(part, keys));
        }
        Condition::Not(inner) => named(inner, keys),
        Condition::Test(test) | Condition::Strict(StrictTest(test)) => named_by(test, keys),
        _ => {}
    }
}

fn named_by<'c>(test: &'c Test, keys: &mut Vec<GroupKey<'c>>) {
    for assertion in [true, false].map(|holds| Assertion { test, holds }) {
        keys.push(Some((assertion.fact(), None)));
        for value in assertion.values().unwrap_or_default() {
            if let FactValue::Text(text) = value {
                keys.push(Some((assertion.fact(), Some(text))));
            }
        }
    }
}

fn reads_payload(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(reads_payload),
        Condition::Not(inner) => reads_payload(inner),
        Condition::Test(test) => matches!(test.path.target, PathTarget::Payload(_)),
        _ => false,
    }
}
