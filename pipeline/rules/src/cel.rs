//! CEL in rules. The `cel` crate parses an expression; its tree is checked and bounded when the rules are loaded. Parts
//! that mean the same as a native condition become one; the rest is evaluated over the raw JSON within a budget. ADR
//! 0012 says why the `cel` crate does not evaluate.

mod bounds;
mod canonical;
mod check;
mod evaluate;
mod functions;
mod lower;
mod macros;
mod operators;
mod problem;
mod strict;
mod syntax;
mod tree;
mod value;

pub(crate) use evaluate::Program;
pub(crate) use problem::CelProblem;
pub(crate) use strict::StrictTest;

use crate::condition::Condition;
use crate::load::LoadTables;
use tree::Tree;

/// Reads the CEL of one rule.
pub(crate) struct CelReader<'r> {
    pub(crate) tables: &'r mut LoadTables,
    pub(crate) zone: u32,
}

impl CelReader<'_> {
    /// A condition, native as far as the meaning is the same.
    ///
    /// # Errors
    /// What is wrong with the expression, and where.
    pub(crate) fn condition(&mut self, text: &str) -> Result<Condition, CelProblem> {
        let tree = self.tree(text)?;
        Ok(lower::lowered(tree, &text.into()))
    }

    /// An expression whose value is used, such as a key.
    ///
    /// # Errors
    /// What is wrong with the expression, and where.
    pub(crate) fn program(&mut self, text: &str) -> Result<Program, CelProblem> {
        let tree = self.tree(text)?;
        Ok(Program::new(tree, text.into()))
    }

    fn tree(&mut self, text: &str) -> Result<Tree, CelProblem> {
        check::read(text, self.tables, self.zone)
    }
}

#[cfg(test)]
mod tests;
