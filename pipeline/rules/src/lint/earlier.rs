//! The rules before the one that is looked at: which of them ends the evaluation whenever it would match. They are filed
//! by what a condition has to name to imply theirs, so that a rule is not compared with all before it.

use hashbrown::{HashMap, HashSet};

use super::claims::{Claim, Subject};
use super::search::{Goal, conflict};
use crate::cel::StrictTest;
use crate::condition::{Condition, Test};
use crate::decide::QUOTAS_MAX;
use crate::facts::Seen;
use crate::path::Source;
use crate::rule::{AfterMatch, OnError, Rule, RuleAction};

/// How many pairs of rules are compared.
const COMPARED_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Earlier<'r> {
    ending: HashMap<Key<'r>, Vec<Ending<'r>>>,
    /// How many rules there were.
    seen: usize,
    /// The number after the last one that changes the payload for those behind it.
    modified: usize,
    throttles: usize,
    compared: usize,
}

/// What a condition names: a value, maybe with a text that it is compared with; or nothing.
type Key<'c> = Option<(Subject<'c>, Option<&'c [u8]>)>;

/// A rule that, when its condition holds, lets no other match.
struct Ending<'r> {
    rule: &'r Rule,
    /// Its place among all.
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
            // What `rule` sees may not be what the other saw.
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

    /// Whether there were too many to compare; told once.
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

    /// Whether nothing comes after a match of the rule, not even when it cannot do what it says.
    fn ends(&self, rule: &Rule) -> bool {
        let could_fail = match rule.action {
            RuleAction::Deny(_) | RuleAction::Suppress(_) => return true,
            RuleAction::Modify(_) => true,
            RuleAction::Throttle { .. } => self.throttles >= QUOTAS_MAX,
            _ => false,
        };
        rule.after_match == AfterMatch::Stop && (rule.on_error != OnError::Skip || !could_fail)
    }

    /// One thing that every condition names that implies this one: that which the fewest others have.
    fn key(&self, condition: &'r Condition) -> Key<'r> {
        if conflict(&[Goal::does_not_hold(condition)]).is_some() {
            return None;
        }
        let mut keys = Vec::new();
        needed(condition, &mut keys);
        let filed = |key: &Key<'_>| self.ending.get(key).map_or(0, Vec::len);
        keys.into_iter().min_by_key(filed).flatten()
    }
}

fn needed<'c>(condition: &'c Condition, keys: &mut Vec<Key<'c>>) {
    match condition {
        Condition::All(parts) => parts.iter().for_each(|part| needed(part, keys)),
        Condition::Test(test) => {
            let claim = Claim { test, holds: true };
            let only = match claim.values().as_deref() {
                Some([Seen::Text(text)]) => Some(*text),
                _ => None,
            };
            keys.push(Some((claim.subject(), only)));
        }
        _ => {}
    }
}

fn named<'c>(condition: &'c Condition, keys: &mut Vec<Key<'c>>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| named(part, keys));
        }
        Condition::Not(inner) => named(inner, keys),
        Condition::Test(test) | Condition::Strict(StrictTest(test)) => named_by(test, keys),
        _ => {}
    }
}

fn named_by<'c>(test: &'c Test, keys: &mut Vec<Key<'c>>) {
    for claim in [true, false].map(|holds| Claim { test, holds }) {
        keys.push(Some((claim.subject(), None)));
        for value in claim.values().unwrap_or_default() {
            if let Seen::Text(text) = value {
                keys.push(Some((claim.subject(), Some(text))));
            }
        }
    }
}

fn reads_payload(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(reads_payload),
        Condition::Not(inner) => reads_payload(inner),
        Condition::Test(test) => matches!(test.path.source, Source::Payload(_)),
        _ => false,
    }
}
