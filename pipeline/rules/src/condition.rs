//! Conditions in their native form, and whether they hold. `condition/read.rs` reads them from a file,
//! `condition/display.rs` prints them in one line, `condition/mismatch.rs` explains why one does not hold.

mod display;
mod mismatch;
mod operator;
mod read;
mod state;

pub(crate) use mismatch::why_not;
pub(crate) use operator::{Limit, Literal, Literals, Needle, Operator, Order};
pub(crate) use read::{ConditionReader, OPERATORS, STRUCTURE, SUBJECTS};
pub(crate) use state::{
    EventFunction, FUNCTIONS, GRACE_SECONDS_MAX, KEY_BYTES_MAX, WITHIN_SECONDS, WITHIN_SECONDS_MAX,
};

use crate::cel::{Program, StrictTest};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::path::FactPath;
use crate::reads::StateValueKind;

/// A condition. Nested at most [`read::DEPTH_MAX`] deep.
#[derive(Debug)]
pub(crate) enum Condition {
    All(Box<[Condition]>),
    Any(Box<[Condition]>),
    Not(Box<Condition>),
    Test(Test),
    State(StateTest),
    /// A test with the meaning of CEL.
    Strict(StrictTest),
    /// `has` of CEL.
    Has(FactPath),
    /// An expression without a native form.
    Cel(Box<Program>),
}

/// One operator on one field.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) path: FactPath,
    pub(crate) operator: Operator,
}

/// A test of an answer of the state.
#[derive(Debug)]
pub(crate) struct StateTest {
    /// As written in the rule.
    pub(crate) text: Box<str>,
    /// The number of the read.
    pub(crate) number: u32,
    pub(crate) kind: StateValueKind,
    /// All must hold for the answer.
    pub(crate) operators: Box<[Operator]>,
}

impl Condition {
    /// Whether it holds. A fault in one part is an error only if the other parts do not decide.
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> Result<bool, Fault> {
        match self {
            Self::All(parts) => unless_one_is(false, parts, facts),
            Self::Any(parts) => unless_one_is(true, parts, facts),
            Self::Not(inner) => inner.holds(facts).map(|holds| !holds),
            Self::Test(test) => Ok(test.operator.holds(facts.read(&test.path))),
            Self::Strict(test) => test.holds(facts),
            Self::Has(path) => Ok(facts.has(path)?),
            Self::Cel(program) => program.holds(facts),
            Self::State(test) => {
                let value = test.kind.take(test.number, facts)?;
                Ok(test
                    .operators
                    .iter()
                    .all(|operator| operator.holds(value.as_fact())))
            }
        }
    }

    /// Whether evaluating it may have an effect whatever the parts after it say: a tally is recorded, or the rule's
    /// budget is used up.
    pub(crate) fn has_effects(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::has_effects),
            Self::Not(inner) => inner.has_effects(),
            Self::State(test) => test.kind.is_of_tally(),
            Self::Cel(_) => true,
            Self::Test(_) | Self::Strict(_) | Self::Has(_) => false,
        }
    }
}

/// `decisive` as soon as one part has this value, the opposite if none has it and there was no fault.
fn unless_one_is(
    decisive: bool,
    parts: &[Condition],
    facts: &mut Facts<'_>,
) -> Result<bool, Fault> {
    let mut fault = None;
    for part in parts {
        match part.holds(facts) {
            Ok(holds) if holds == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(last) if last.is_final() => return Err(last),
            Err(first) => {
                fault.get_or_insert(first);
            }
        }
    }
    fault.map_or(Ok(!decisive), Err)
}
