//! The operators of CEL. Integer arithmetic is checked for overflow. Numbers of different types can be compared, but
//! not mixed in arithmetic.

use std::cmp::Ordering;

use super::tree::Operation;
use super::value::{ITEM_BYTES, List, Text, Value};
use crate::budget::Budget;
use crate::fault::CelError;

type CelResult<'v> = Result<Value<'v>, CelError>;

/// Applies an operator.
pub(super) fn apply<'v>(
    operation: Operation,
    left: &Value<'v>,
    right: &Value<'v>,
    budget: &mut Budget,
) -> CelResult<'v> {
    match operation {
        Operation::Equals => left.equals(right, budget).map(Value::Bool),
        Operation::NotEquals => left.equals(right, budget).map(|equal| Value::Bool(!equal)),
        Operation::Less => compared(left, right, budget, Ordering::is_lt),
        Operation::LessEquals => compared(left, right, budget, Ordering::is_le),
        Operation::Greater => compared(left, right, budget, Ordering::is_gt),
        Operation::GreaterEquals => compared(left, right, budget, Ordering::is_ge),
        Operation::In => is_in(left, right, budget).map(Value::Bool),
        Operation::Add => add(left, right, budget),
        Operation::Subtract | Operation::Multiply => calculate(operation, left, right),
        Operation::Divide | Operation::Modulo => divide(operation, left, right),
    }
}

fn compared<'v>(
    left: &Value<'v>,
    right: &Value<'v>,
    budget: &mut Budget,
    is: fn(Ordering) -> bool,
) -> CelResult<'v> {
    let ordering = left.compare(right, budget)?;
    Ok(Value::Bool(ordering.is_some_and(is)))
}

fn is_in<'v>(
    wanted: &Value<'v>,
    container: &Value<'v>,
    budget: &mut Budget,
) -> Result<bool, CelError> {
    match container {
        Value::List(list) => list.contains(wanted, budget),
        Value::Map(map) => Ok(map.get(wanted, budget)?.is_some()),
        _ => Err(CelError::NoOverload("in")),
    }
}

fn add<'v>(left: &Value<'v>, right: &Value<'v>, budget: &mut Budget) -> CelResult<'v> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => {
            budget.make(a.len() + b.len())?;
            Ok(Value::Text(Text::Made([&**a, &**b].concat().into())))
        }
        (Value::List(a), Value::List(b)) => {
            let mut both = Vec::new();
            for list in [a, b] {
                let mut items = list.items();
                while let Some(item) = items.next(budget)? {
                    budget.make(ITEM_BYTES)?;
                    both.push(item);
                }
            }
            List::made(both).map(Value::List)
        }
        _ => calculate(Operation::Add, left, right),
    }
}

fn calculate<'v>(operation: Operation, left: &Value<'v>, right: &Value<'v>) -> CelResult<'v> {
    let (on_int, on_uint, on_double): (IntTo, UintTo, fn(f64, f64) -> f64) = match operation {
        Operation::Add => (i64::checked_add, u64::checked_add, |a, b| a + b),
        Operation::Subtract => (i64::checked_sub, u64::checked_sub, |a, b| a - b),
        _ => (i64::checked_mul, u64::checked_mul, |a, b| a * b),
    };
    let left = left.operand()?;
    let right = right.operand()?;
    match (&*left, &*right) {
        (Value::Int(a), Value::Int(b)) => on_int(*a, *b).map(Value::Int).ok_or(CelError::Overflow),
        (Value::Uint(a), Value::Uint(b)) => {
            on_uint(*a, *b).map(Value::Uint).ok_or(CelError::Overflow)
        }
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(on_double(*a, *b))),
        _ => Err(CelError::NoOverload(name_of(operation))),
    }
}

type IntTo = fn(i64, i64) -> Option<i64>;
type UintTo = fn(u64, u64) -> Option<u64>;

fn divide<'v>(operation: Operation, left: &Value<'v>, right: &Value<'v>) -> CelResult<'v> {
    let divides = operation == Operation::Divide;
    let left = left.operand()?;
    let right = right.operand()?;
    match (&*left, &*right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            Err(CelError::DivisionByZero)
        }
        (Value::Int(a), Value::Int(b)) => {
            let result = if divides {
                a.checked_div(*b)
            } else {
                a.checked_rem(*b)
            };
            result.map(Value::Int).ok_or(CelError::Overflow)
        }
        (Value::Uint(a), Value::Uint(b)) => {
            let result = if divides {
                a.checked_div(*b)
            } else {
                a.checked_rem(*b)
            };
            result.map(Value::Uint).ok_or(CelError::Overflow)
        }
        (Value::Double(a), Value::Double(b)) if divides => Ok(Value::Double(a / b)),
        _ => Err(CelError::NoOverload(name_of(operation))),
    }
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Add => "+",
        Operation::Subtract => "-",
        Operation::Multiply => "*",
        Operation::Divide => "/",
        _ => "%",
    }
}
