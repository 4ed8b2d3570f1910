//! Rules: read, compiled, decided and explained.
//!
//! [`RuleSet::compile`] turns the text of rule files into a set, or into all that is wrong with them;
//! [`RuleSet::decide`] says what shall happen to an action. Nothing here reads a file, a clock or a state: time is an
//! argument, and what a decision needs from the state stands in its [`Plan`].

mod condition;
mod decide;
mod explain;
mod facts;
mod fault;
mod fields;
mod hex;
mod index;
mod json;
mod key;
mod modify;
mod moment;
mod number;
mod path;
mod problems;
mod rule;
mod set;
mod settings;
mod template;
mod yaml;

pub use decide::{ClaimGate, Decision, Effect, Plan, QuotaGate};
pub use explain::Stopwatch;
pub use set::{RULES_MAX, RuleSet};
pub use settings::{KnownProviders, RuleFile, Settings};

#[cfg(test)]
mod tests;
