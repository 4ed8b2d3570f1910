//! Whether conditions could hold together. Answers that they could not only when it is certain: what the state answers and
//! what CEL computes may always be either way, and a search that takes too long is given up.

use super::claims::{Claim, Subject, contradict};
use crate::condition::{Condition, Test};

/// How much is looked at before a search is given up.
const STEPS_MAX: usize = 20_000;
/// How many branches are followed into one another.
const BRANCHES_MAX: usize = 64;

/// What is to become of a condition.
#[derive(Clone, Copy)]
pub(super) struct Goal<'c> {
    condition: &'c Condition,
    holds: bool,
    /// Whether it is to be evaluated without a fault.
    faultless: bool,
}

impl<'c> Goal<'c> {
    /// It holds.
    pub(super) fn holds(condition: &'c Condition) -> Self {
        Self {
            condition,
            holds: true,
            faultless: true,
        }
    }

    /// It does not hold, or cannot be evaluated.
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

/// Why goals cannot be reached together.
pub(super) enum Conflict<'c> {
    /// These claims of one value contradict each other.
    Claims(Vec<Claim<'c>>),
    /// There are several ways, and each leads to a conflict; the first one's stands here.
    EachWay(Box<Conflict<'c>>),
    /// There is no way to hold at all.
    NoWay,
}

/// None when the goals could be reached, as far as can be seen.
pub(super) fn conflict<'c>(goals: &[Goal<'c>]) -> Option<Conflict<'c>> {
    let mut search = Search {
        claims: Vec::new(),
        steps: 0,
    };
    search.reach(goals, &[], 0)
}

struct Search<'c> {
    claims: Vec<Claim<'c>>,
    steps: usize,
}

impl<'c> Search<'c> {
    /// `choices` are goals of which one part has to be reached.
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
                (Condition::Test(test), holds) => self.claim(test, holds),
                (Condition::Strict(test), holds) if goal.faultless => self.claim(&test.0, holds),
                _ => None,
            };
            if let Some(claims) = conflict {
                return Some(Conflict::Claims(claims));
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
            return Some(Conflict::NoWay);
        }
        if depth == BRANCHES_MAX {
            return None;
        }
        let known = self.claims.len();
        let mut first = None;
        for part in parts {
            let found = self.reach(&[choice.of(part)], others, depth + 1);
            self.claims.truncate(known);
            first.get_or_insert(found?);
        }
        first.map(|first| Conflict::EachWay(Box::new(first)))
    }

    /// The claims of the same value, if they contradict this one.
    fn claim(&mut self, test: &'c Test, holds: bool) -> Option<Vec<Claim<'c>>> {
        let claim = Claim { test, holds };
        let subject: Subject<'_> = claim.subject();
        self.claims.push(claim);
        self.steps += self.claims.len();
        let beside: Vec<_> = self
            .claims
            .iter()
            .filter(|c| c.subject() == subject)
            .copied()
            .collect();
        let values: usize = beside
            .iter()
            .filter_map(Claim::values)
            .map(|v| v.len())
            .sum();
        self.steps += values;
        contradict(subject, &beside).then_some(beside)
    }
}
