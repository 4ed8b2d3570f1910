//! Conditions in their native form, and whether they hold. `condition/read.rs` reads them from a file, `condition/shown.rs`
//! shows them in a line, `condition/why.rs` says why one does not hold.

mod operator;
mod pattern;
mod read;
mod shown;
mod state;
mod why;

pub(crate) use operator::{
    Limit, Literal, Literals, Member, Operator, Order, Pattern, PatternTest,
};
pub(crate) use pattern::{PATTERN_BYTES_MAX, Patterns};
pub(crate) use read::{ConditionReader, OPERATORS, STRUCTURE, SUBJECTS};
pub(crate) use state::{FUNCTIONS, Function, KEY_BYTES_MAX, WITHIN_SECONDS, WITHIN_SECONDS_MAX};
pub(crate) use why::why_not;

use crate::cel::{Program, StrictTest};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::path::Path;
use crate::reads::Reading;

/// A condition. Nested at most [`read::DEPTH_MAX`] deep.
#[derive(Debug)]
pub(crate) enum Condition {
    All(Box<[Condition]>),
    Any(Box<[Condition]>),
    Not(Box<Condition>),
    Test(Test),
    State(StateTest),
    /// A test of CEL.
    Strict(StrictTest),
    /// `has` of CEL.
    Has(Path),
    /// What has no native form.
    Cel(Box<Program>),
}

/// One operator on one field.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) path: Path,
    pub(crate) operator: Operator,
}

/// What the state answered, and what is expected of it.
#[derive(Debug)]
pub(crate) struct StateTest {
    /// As it is written.
    pub(crate) text: Box<str>,
    /// The number of the read.
    pub(crate) number: u32,
    pub(crate) reading: Reading,
    /// All are to hold of the answer.
    pub(crate) operators: Box<[Operator]>,
}

impl Condition {
    /// Whether it holds. A fault in one part counts only when the other parts leave it open.
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
                let known = test.reading.of(test.number, facts)?;
                Ok(test
                    .operators
                    .iter()
                    .all(|operator| operator.holds(known.seen())))
            }
        }
    }

    /// Whether looking at it may have an effect whatever stands after it: the action is noted, or the budget of the rule is
    /// used up.
    pub(crate) fn has_effects(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::has_effects),
            Self::Not(inner) => inner.has_effects(),
            Self::State(test) => test.reading.notes(),
            Self::Cel(_) => true,
            Self::Test(_) | Self::Strict(_) | Self::Has(_) => false,
        }
    }
}

/// What decides as soon as one part says it; the opposite when none does and there was no fault.
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
