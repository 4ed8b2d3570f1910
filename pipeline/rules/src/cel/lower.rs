//! Turns CEL into native conditions where they mean the same.

use std::sync::Arc;

use super::evaluate::Program;
use super::strict::StrictTest;
use super::tree::{Function, Operation, Tree};
use crate::condition::{
    Condition, Limit, Literal, Literals, Needle, Operator, Order, StateTest, Test,
};
use crate::number::Number;
use crate::path::{ActionField, FactPath, PathTarget};
use crate::reads::StateValueKind;

/// The condition for a tree: native as far as possible, with the same order of evaluation.
pub(super) fn lowered(tree: Tree, text: &Arc<str>) -> Condition {
    match tree {
        Tree::Bool(true) => Condition::All(Box::new([])),
        Tree::Bool(false) => Condition::Any(Box::new([])),
        Tree::And(parts) => Condition::All(each(parts, text)),
        Tree::Or(parts) => Condition::Any(each(parts, text)),
        Tree::Not(inner) => Condition::Not(Box::new(lowered(*inner, text))),
        Tree::IsSet(path) => Condition::Has(path),
        Tree::State(test) if is_truth(&test) => state(test, Operator::Eq(Literal::Bool(true))),
        other => match native(other) {
            Ok((Subject::State(test), operator)) => state(test, operator),
            Ok((Subject::Path(path), operator)) if never_fails(&path, &operator) => {
                Condition::Test(Test { path, operator })
            }
            Ok((Subject::Path(path), operator)) => {
                Condition::Strict(StrictTest(Test { path, operator }))
            }
            Err(tree) => Condition::Cel(Box::new(Program::new(tree, text.clone()))),
        },
    }
}

/// The left side of an operator.
enum Subject {
    Path(FactPath),
    State(StateTest),
}

impl Subject {
    fn tree(self) -> Tree {
        match self {
            Self::Path(path) => Tree::Path(path),
            Self::State(test) => Tree::State(test),
        }
    }

    /// # Errors
    /// The tree itself, if it is not a subject.
    fn of(tree: Tree) -> Result<Self, Tree> {
        match tree {
            Tree::Path(path) => Ok(Self::Path(path)),
            Tree::State(test) if !is_truth(&test) => Ok(Self::State(test)),
            other => Err(other),
        }
    }

    fn kind(&self) -> SubjectKind {
        match self {
            Self::Path(path) => kind_of(path),
            Self::State(_) => SubjectKind::TextOrNull,
        }
    }
}

fn is_truth(test: &StateTest) -> bool {
    matches!(
        test.kind,
        StateValueKind::Active | StateValueKind::InState(_)
    )
}

fn state(test: StateTest, operator: Operator) -> Condition {
    let operators = Box::new([operator]);
    Condition::State(StateTest { operators, ..test })
}

fn each(parts: Box<[Tree]>, text: &Arc<str>) -> Box<[Condition]> {
    let parts = parts.into_iter();
    parts.map(|part| lowered(part, text)).collect()
}

/// One operator on one subject.
///
/// # Errors
/// The tree itself, if it is anything else.
fn native(tree: Tree) -> Result<(Subject, Operator), Tree> {
    match tree {
        Tree::Binary(operation, operands) => {
            let [left, right] = *operands;
            match Subject::of(left) {
                Ok(subject) => match of_subject(operation, &right, subject.kind()) {
                    Some(operator) => Ok((subject, operator)),
                    None => Err(binary(operation, subject.tree(), right)),
                },
                Err(left) => mirrored(operation, left, right),
            }
        }
        Tree::Matches(operand, pattern) => match *operand {
            Tree::Path(path) => Ok((Subject::Path(path), Operator::Matches(*pattern))),
            other => Err(Tree::Matches(Box::new(other), pattern)),
        },
        Tree::Call(function, operands) => called(function, operands),
        other => Err(other),
    }
}

fn called(function: Function, operands: Box<[Tree]>) -> Result<(Subject, Operator), Tree> {
    let operator = match &*operands {
        [Tree::Path(_), Tree::Text(text)] => match function {
            Function::Contains => Some(Operator::Contains(Needle::of_text(text))),
            Function::StartsWith => Some(Operator::StartsWith(text.clone())),
            Function::EndsWith => Some(Operator::EndsWith(text.clone())),
            _ => None,
        },
        _ => None,
    };
    match (operator, operands.into_vec()) {
        (Some(operator), mut operands) => match operands.swap_remove(0) {
            Tree::Path(path) => Ok((Subject::Path(path), operator)),
            other => Err(other),
        },
        (None, operands) => Err(Tree::Call(function, operands.into())),
    }
}

fn binary(operation: Operation, left: Tree, right: Tree) -> Tree {
    Tree::Binary(operation, Box::new([left, right]))
}

/// A comparison whose subject is on the right.
fn mirrored(operation: Operation, left: Tree, right: Tree) -> Result<(Subject, Operator), Tree> {
    let Some(turned) = turned(operation) else {
        return Err(binary(operation, left, right));
    };
    match Subject::of(right) {
        Ok(subject) => match of_subject(turned, &left, subject.kind()) {
            Some(operator) => Ok((subject, operator)),
            None => Err(binary(operation, left, subject.tree())),
        },
        Err(right) => Err(binary(operation, left, right)),
    }
}

/// The same comparison with its sides swapped.
fn turned(operation: Operation) -> Option<Operation> {
    Some(match operation {
        Operation::Equals | Operation::NotEquals => operation,
        Operation::Less => Operation::Greater,
        Operation::LessEquals => Operation::GreaterEquals,
        Operation::Greater => Operation::Less,
        Operation::GreaterEquals => Operation::LessEquals,
        _ => return None,
    })
}

/// The operator for a subject of this kind on the left.
fn of_subject(operation: Operation, right: &Tree, kind: SubjectKind) -> Option<Operator> {
    let order = match operation {
        Operation::Equals => return literal(right).map(Operator::Eq),
        Operation::NotEquals => return literal(right).map(Operator::Ne),
        Operation::In => match right {
            Tree::List(items) => return literals(items).map(Operator::In),
            _ => return None,
        },
        Operation::Less => Order::Lt,
        Operation::LessEquals => Order::Lte,
        Operation::Greater => Order::Gt,
        Operation::GreaterEquals => Order::Gte,
        _ => return None,
    };
    let limit = match literal(right)? {
        Literal::Number(number) => Limit::Number(number),
        Literal::Text(text) => Limit::Text(text),
        Literal::Bool(_) | Literal::Null => return None,
    };
    // A comparison that always fails, or may fail on an answer of the state, is left to evaluation.
    let fits = matches!(
        (kind, &limit),
        (SubjectKind::Any, _)
            | (SubjectKind::Text, Limit::Text(_))
            | (SubjectKind::Number, Limit::Number(_))
    );
    fits.then_some(Operator::Order(order, limit))
}

fn literal(tree: &Tree) -> Option<Literal> {
    Some(match tree {
        Tree::Null => Literal::Null,
        Tree::Bool(value) => Literal::Bool(*value),
        Tree::Int(value) => Literal::Number(Number::from(*value).into()),
        Tree::Uint(value) => Literal::Number(Number::Unsigned(*value).into()),
        Tree::Double(value) => Literal::Number(Number::Float(*value).into()),
        Tree::Text(text) => Literal::Text(text.clone()),
        _ => return None,
    })
}

fn literals(items: &[Tree]) -> Option<Literals> {
    let all: Option<Vec<_>> = items.iter().map(literal).collect();
    Some(Literals::of(all?))
}

/// The type of a subject, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SubjectKind {
    Text,
    Number,
    TextOrNull,
    Any,
}

fn kind_of(path: &FactPath) -> SubjectKind {
    match &path.target {
        PathTarget::Now => SubjectKind::Number,
        PathTarget::Time(_, field) if field.is_number() => SubjectKind::Number,
        PathTarget::Field(field) if is_required(*field) => SubjectKind::Text,
        PathTarget::Time(..) | PathTarget::Environment(_) => SubjectKind::Text,
        _ => SubjectKind::Any,
    }
}

/// Whether the value is always present and of a type that the operator accepts, so that the plain test means the same.
fn never_fails(path: &FactPath, operator: &Operator) -> bool {
    match (kind_of(path), operator) {
        (SubjectKind::Any | SubjectKind::TextOrNull, _) => false,
        (SubjectKind::Text, _) | (_, Operator::Eq(_) | Operator::Ne(_) | Operator::In(_)) => true,
        (SubjectKind::Number, operator) => matches!(operator, Operator::Order(..)),
    }
}

fn is_required(field: ActionField) -> bool {
    matches!(
        field,
        ActionField::Id
            | ActionField::Namespace
            | ActionField::Tenant
            | ActionField::Provider
            | ActionField::ActionType
            | ActionField::CreatedAt
    )
}
