//! Conditions in their native form, and whether they hold. How they are read from a file stands in
//! `condition/read.rs`, what is said of one that does not hold in `condition/why.rs`.

mod operator;
mod read;
mod why;

pub(crate) use operator::{Literal, Operator};
pub(crate) use read::ConditionReader;
pub(crate) use why::why_not;

use crate::facts::Facts;
use crate::path::Path;

/// A condition. Nested at most [`read::DEPTH_MAX`] deep.
#[derive(Debug)]
pub(crate) enum Condition {
    All(Box<[Condition]>),
    Any(Box<[Condition]>),
    Not(Box<Condition>),
    Test(Test),
}

/// One operator on one field.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) path: Path,
    pub(crate) operator: Operator,
}

impl Condition {
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(inner) => !inner.holds(facts),
            Self::Test(test) => test.operator.holds(facts.read(&test.path)),
        }
    }
}
