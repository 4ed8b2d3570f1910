//! The `unless` of a group rule: a condition that is asked again for each member when its group is flushed.

use acteon_core::Action;
use jiff::Timestamp;

use crate::answers::{StateAnswers, StateRead};
use crate::facts::Facts;
use crate::rule::UnlessCondition;
use crate::set::RuleSet;

/// The `unless` of a group rule, with the set it belongs to.
#[derive(Clone, Copy)]
pub struct Unless<'s> {
    set: &'s RuleSet,
    unless: &'s UnlessCondition,
}

impl RuleSet {
    /// The `unless` of the group rule of this name. `None` if it has none, or there is no such rule.
    pub fn unless(&self, rule: &str) -> Option<Unless<'_>> {
        let unless = self.group_rule(rule)?.unless.as_ref()?;
        Some(Unless { set: self, unless })
    }
}

impl Unless<'_> {
    /// What it reads from the state about a member.
    pub fn ask(&self, action: &Action, now: Timestamp) -> Vec<StateRead> {
        let nothing = StateAnswers::default();
        let context = self.set.fact_context(now, &nothing);
        let mut facts = Facts::new(action, &action.payload, context);
        let reads = self.unless.reads.iter().copied();
        self.set.reads().render(reads, &mut facts)
    }

    /// Whether it leaves a member out. A condition that cannot be evaluated leaves no member out.
    pub fn holds(&self, action: &Action, now: Timestamp, answers: &StateAnswers) -> bool {
        let context = self.set.fact_context(now, answers);
        let mut facts = Facts::new(action, &action.payload, context);
        self.unless.condition.holds(&mut facts).unwrap_or(false)
    }
}
