//! Searches for a contradiction between conditions. It finds one only if it is certain: answers of the state and
//! results of CEL may be anything, and a search that takes too long is abandoned.

use super::assertions::{Assertion, FactId, contradict};
use crate::condition::{Condition, Test};

/// After how many steps a search is abandoned.
const STEPS_MAX: usize = 20_000;
/// How deep branches are followed.
const BRANCHES_MAX: usize = 64;

/// A required result of a condition.
#[derive(Clone, Copy)]
pub(super) struct Goal<'c> {
    condition: &'c Condition,
    holds: bool,
    /// Whether it must be evaluated without a fault.
    faultless: bool,
}

impl<'c> Goal<'c> {
    /// The condition holds.
    pub(super) fn holds(condition: &'c Condition) -> Self {
        Self {
            condition,
            holds: true,
            faultless: true,
        }
    }

    /// The condition does not hold, or cannot be evaluated.
    pub(super) fn does_not_hold(condition: &'c Condition) -> Self {
        Self {
            condition,
            holds: false,
            faultless: false,
        }
    }

    fn of(self, condition: &'c Condition) -> Self {
        Self { condition, ..self }
    }
}

/// Why goals contradict each other.
pub(super) enum Conflict<'c> {
    /// These assertions about one value contradict each other.
    Assertions(Vec<Assertion<'c>>),
    /// Every alternative leads to a conflict; this is the first one's.
    EveryAlternative(Box<Conflict<'c>>),
    /// There is no alternative at all.
    NoAlternative,
}

/// None if the goals could be reached, as far as the search can tell.
pub(super) fn conflict<'c>(goals: &[Goal<'c>]) -> Option<Conflict<'c>> {
    let mut search = Search {
        assertions: Vec::new(),
        steps: 0,
    };
    search.reach(goals, &[], 0)
}

struct Search<'c> {
    assertions: Vec<Assertion<'c>>,
    steps: usize,
}

impl<'c> Search<'c> {
    /// `choices` are goals of which one part must be reached.
    fn reach(
        &mut self,
        goals: &[Goal<'c>],
        choices: &[Goal<'c>],
        depth: usize,
    ) -> Option<Conflict<'c>> {
        let mut open = goals.to_vec();
        let mut choices = choices.to_vec();
        while let Some(goal) = open.pop() {
            self.steps += 1;
            let conflict = match (goal.condition, goal.holds) {
                (Condition::Not(inner), holds) => {
                    open.push(Goal {
                        holds: !holds,
                        ..goal.of(inner)
                    });
                    None
                }
                (Condition::All(parts), true) | (Condition::Any(parts), false) => {
                    open.extend(parts.iter().rev().map(|part| goal.of(part)));
                    None
                }
                (Condition::All(_), false) | (Condition::Any(_), true) => {
                    choices.push(goal);
                    None
                }
                (Condition::Test(test), holds) => self.assert(test, holds),
                (Condition::Strict(test), holds) if goal.faultless => self.assert(&test.0, holds),
                _ => None,
            };
            if let Some(assertions) = conflict {
                return Some(Conflict::Assertions(assertions));
            }
            if self.steps > STEPS_MAX {
                return None;
            }
        }
        self.choose(&choices, depth)
    }

    fn choose(&mut self, choices: &[Goal<'c>], depth: usize) -> Option<Conflict<'c>> {
        let (choice, others) = choices.split_last()?;
        let (Condition::All(parts) | Condition::Any(parts)) = choice.condition else {
            return None;
        };
        if parts.is_empty() {
            return Some(Conflict::NoAlternative);
        }
        if depth == BRANCHES_MAX {
            return None;
        }
        let known = self.assertions.len();
        let mut first = None;
        for part in parts {
            let found = self.reach(&[choice.of(part)], others, depth + 1);
            self.assertions.truncate(known);
            first.get_or_insert(found?);
        }
        first.map(|first| Conflict::EveryAlternative(Box::new(first)))
    }

    /// The assertions about the same value, if they contradict this one.
    fn assert(&mut self, test: &'c Test, holds: bool) -> Option<Vec<Assertion<'c>>> {
        let assertion = Assertion { test, holds };
        let fact: FactId<'_> = assertion.fact();
        self.assertions.push(assertion);
        self.steps += self.assertions.len();
        let beside: Vec<_> = self
            .assertions
            .iter()
            .filter(|other| other.fact() == fact)
            .copied()
            .collect();
        let values: usize = beside
            .iter()
            .filter_map(Assertion::values)
            .map(|v| v.len())
            .sum();
        self.steps += values;
        contradict(fact, &beside).then_some(beside)
    }
}
