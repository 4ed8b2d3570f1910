//! A checked expression: every name resolved, every bound kept.

use crate::condition::StateTest;
use crate::path::Path;

use crate::condition::Pattern;

/// A node. At most as deep and as many as the bounds say, so that walking it may recurse.
#[derive(Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<str>),
    /// What rules see: a field of the action, the time, the environment.
    Path(Path),
    /// The variable of a macro: how many macros lie between it and the use.
    Variable(usize),
    /// What the state answered.
    State(StateTest),
    Select(Box<Tree>, Box<str>),
    Index(Box<Tree>, Box<Tree>),
    /// Whether the value has this member.
    Has(Box<Tree>, Box<str>),
    /// Whether a field of the action is set.
    IsSet(Path),
    List(Box<[Tree]>),
    Map(Box<[(Tree, Tree)]>),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    And(Box<[Tree]>),
    Or(Box<[Tree]>),
    Conditional(Box<[Tree; 3]>),
    Binary(Operation, Box<[Tree; 2]>),
    Call(Function, Box<[Tree]>),
    Matches(Box<Tree>, Box<Pattern>),
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

/// What a macro does over each item of a list or key of a map.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) range: Tree,
    /// What is asked of an item; of `map` only when it filters.
    pub(crate) test: Option<Tree>,
    /// What `map` makes of an item.
    pub(crate) item: Option<Tree>,
}
