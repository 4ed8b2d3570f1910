//! CEL in rules. The `cel` crate parses; what it makes is checked against what rules can see and bounded, at load. What
//! native conditions can say with the same meaning becomes one; the rest is evaluated over the raw JSON within a
//! budget. ADR 0012 says why evaluation is not the crate's.

mod bounds;
mod budget;
mod check;
mod evaluate;
mod exact;
mod functions;
mod items;
mod lower;
mod macros;
mod operators;
mod place;
mod strict;
mod syntax;
mod tree;
mod value;

pub(crate) use budget::Budget;
pub(crate) use evaluate::Program;
pub(crate) use place::Wrong;
pub(crate) use strict::StrictTest;
pub(crate) use value::CelError;

use crate::condition::Condition;
use crate::path::Known;
use tree::Tree;

/// Reads the CEL of one rule.
pub(crate) struct CelReader<'r> {
    pub(crate) known: &'r mut Known,
    pub(crate) zone: u32,
}

impl CelReader<'_> {
    /// A condition, native as far as that means the same.
    ///
    /// # Errors
    /// What is wrong with it, and where in the text.
    pub(crate) fn condition(&mut self, text: &str) -> Result<Condition, Wrong> {
        let tree = self.tree(text)?;
        Ok(lower::lowered(tree, &text.into()))
    }

    /// An expression for its value, such as a key.
    ///
    /// # Errors
    /// What is wrong with it, and where in the text.
    pub(crate) fn program(&mut self, text: &str) -> Result<Program, Wrong> {
        let tree = self.tree(text)?;
        Ok(Program::new(tree, text.into()))
    }

    fn tree(&mut self, text: &str) -> Result<Tree, Wrong> {
        check::read(text, self.known, self.zone)
    }
}

#[cfg(test)]
mod tests;
