//! Rules: read, compiled, decided and explained.
//!
//! [`RuleSet::compile`] turns the text of rule files into a set, or lists all their problems; [`RuleSet::decide`] says
//! what to do with an action. Nothing here reads a file, a clock or a state: the time is an argument, and a decision's
//! [`DeliveryPlan`] lists what it needs from the state.

mod answers;
mod budget;
mod canonical;
mod cel;
mod condition;
mod decide;
mod explain;
mod facts;
mod fault;
mod fields;
mod fingerprint;
mod group_key;
mod hash;
mod index;
mod json;
mod key;
mod lint;
mod load;
mod modify;
mod moment;
mod number;
mod path;
mod pattern;
mod problems;
mod reads;
mod rule;
mod schema;
mod set;
mod settings;
mod synonyms;
mod template;
mod unless;
mod value;
mod yaml;

pub use answers::{MockError, StateAnswers, StateRead};
pub use decide::{Decision, DeliveryPlan, Effect, Gates, GroupPlan, ReportPlan};
pub use explain::{ExplainRequest, Explanation, Stopwatch};
pub use lint::lint;
pub use schema::schema;
pub use set::{RULES_MAX, RuleSet};
pub use settings::{CompileSettings, KnownProviders, RuleFile};
pub use unless::Unless;

/// The readers of rule files, for other YAML files that report problems in the same way.
pub mod reading {
    pub use crate::fields::{Fields, expected};
    pub use crate::number::{Number, NumberLiteral};
    pub use crate::problems::{FileProblems, LineColumn, one_of, quoted, unknown};
    pub use crate::yaml::{Data, MappingKey, Node, read};
}

#[cfg(test)]
mod tests;
