//! Rules: read, compiled, decided and explained.
//!
//! [`RuleSet::compile`] turns the text of rule files into a set, or into all that is wrong with them;
//! [`RuleSet::decide`] says what shall happen to an action. Nothing here reads a file, a clock or a state: time is an
//! argument, and what a decision needs from the state stands in its [`Plan`].

mod cel;
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
mod lint;
mod modify;
mod moment;
mod number;
mod path;
mod problems;
mod reads;
mod rule;
mod schema;
mod set;
mod settings;
mod synonyms;
mod template;
mod yaml;

pub use decide::{Decision, Effect, Gates, Plan};
pub use explain::{Case, Explaining, Stopwatch};
pub use lint::lint;
pub use reads::{Gathered, MockError, Read};
pub use schema::schema;
pub use set::{RULES_MAX, RuleSet};
pub use settings::{KnownProviders, RuleFile, Settings};

/// How rule files are read: for other files that lie beside them and tell their mistakes in the same way.
pub mod reading {
    pub use crate::fields::{Fields, expected};
    pub use crate::number::Number;
    pub use crate::problems::{Place, Problems, one_of, quoted, unknown};
    pub use crate::yaml::{Data, Key, Node, read};
}

#[cfg(test)]
mod tests;
