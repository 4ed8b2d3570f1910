//! A checked expression, in which every name is resolved and every bound is kept.

use crate::condition::StateTest;
use crate::path::FactPath;
use crate::pattern::TextPattern;

/// A node. Depth and number of nodes are bounded, so walking the tree may recurse.
#[derive(Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<str>),
    /// A field of the action, the time or the environment.
    Path(FactPath),
    /// The variable of a macro: the number of macros between its definition and its use.
    Variable(usize),
    /// An answer of the state.
    State(StateTest),
    Select(Box<Tree>, Box<str>),
    Index(Box<Tree>, Box<Tree>),
    /// Whether the value has this member.
    Has(Box<Tree>, Box<str>),
    /// Whether a field of the action is set.
    IsSet(FactPath),
    List(Box<[Tree]>),
    Map(Box<[(Tree, Tree)]>),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    And(Box<[Tree]>),
    Or(Box<[Tree]>),
    Conditional(Box<[Tree; 3]>),
    Binary(Operation, Box<[Tree; 2]>),
    Call(Function, Box<[Tree]>),
    Matches(Box<Tree>, Box<TextPattern>),
    Macro(Macro, Box<Loop>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    Uint,
    Double,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Macro {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// The body of a macro, run for each item of a list or key of a map.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) range: Tree,
    /// The test of an item; `map` has one only if it filters.
    pub(crate) test: Option<Tree>,
    /// The value `map` computes from an item.
    pub(crate) item: Option<Tree>,
}
