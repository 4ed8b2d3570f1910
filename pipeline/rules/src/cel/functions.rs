//! The functions of CEL that rules may call.

use super::budget::Budget;
use super::tree::Function;
use super::value::{CelError, Text, Value};
use crate::condition::{FUNCTIONS, Function as StateFunction};
use crate::problems::unknown;

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Named {
    Function(Function),
    Matches,
    State(StateFunction),
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    /// `text.contains(part)`
    OnValue,
    /// `int(text)`
    Alone,
    Either,
}

/// Name, how it is called, how many operands, its value's included, and an example.
const KNOWN: [(&str, Named, Called, usize, &str); 9] = [
    (
        "size",
        Named::Function(Function::Size),
        Called::Either,
        1,
        "size(list)",
    ),
    (
        "contains",
        Named::Function(Function::Contains),
        Called::OnValue,
        2,
        "text.contains(part)",
    ),
    (
        "startsWith",
        Named::Function(Function::StartsWith),
        Called::OnValue,
        2,
        "text.startsWith(start)",
    ),
    (
        "endsWith",
        Named::Function(Function::EndsWith),
        Called::OnValue,
        2,
        "text.endsWith(end)",
    ),
    (
        "matches",
        Named::Matches,
        Called::Either,
        2,
        "text.matches(\"^a\")",
    ),
    (
        "int",
        Named::Function(Function::Int),
        Called::Alone,
        1,
        "int(value)",
    ),
    (
        "uint",
        Named::Function(Function::Uint),
        Called::Alone,
        1,
        "uint(value)",
    ),
    (
        "double",
        Named::Function(Function::Double),
        Called::Alone,
        1,
        "double(value)",
    ),
    (
        "string",
        Named::Function(Function::Text),
        Called::Alone,
        1,
        "string(value)",
    ),
];
/// Macros take the place of functions; one with other operands is a call that is left.
const MACROS: [(&str, &str); 6] = [
    ("has", "has(action.payload.field)"),
    ("all", "list.all(item, condition)"),
    ("exists", "list.exists(item, condition)"),
    ("exists_one", "list.exists_one(item, condition)"),
    ("map", "list.map(item, value)"),
    ("filter", "list.filter(item, condition)"),
];

/// # Errors
/// When nothing is called so, or it is called in another way.
pub(super) fn named(name: &str, on_value: bool, operands: usize) -> Result<Named, String> {
    if let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name)
        && !on_value
    {
        return Ok(Named::State(*function));
    }
    if let Some((_, example)) = MACROS.iter().find(|(known, _)| *known == name) {
        return Err(format!("`{name}` is written as in `{example}`"));
    }
    let Some((_, named, called, count, example)) = KNOWN.iter().find(|(known, ..)| *known == name)
    else {
        let names = KNOWN.iter().map(|(known, ..)| *known);
        let others = MACROS.iter().map(|(known, _)| *known);
        let states = FUNCTIONS.iter().map(|(known, _)| *known);
        let known: Vec<_> = names.chain(others).chain(states).collect();
        return Err(unknown("function", name, &known));
    };
    let fits = match called {
        Called::Either => true,
        Called::OnValue => on_value,
        Called::Alone => !on_value,
    };
    if fits && operands == *count {
        Ok(*named)
    } else {
        Err(format!("`{name}` is written as in `{example}`"))
    }
}

/// What a function makes of its operands.
pub(super) fn call<'v>(
    function: Function,
    operands: &[Value<'v>],
    budget: &mut Budget,
) -> Result<Value<'v>, CelError> {
    match (function, operands) {
        (Function::Size, [value]) => size(value, budget),
        (Function::Int, [value]) => int(value),
        (Function::Uint, [value]) => uint(value),
        (Function::Double, [value]) => double(value),
        (Function::Text, [value]) => text(value, budget),
        (_, [Value::Text(text), Value::Text(part)]) => {
            budget.read(text.len() + part.len())?;
            Ok(Value::Bool(match function {
                Function::StartsWith => text.starts_with(&**part),
                Function::EndsWith => text.ends_with(&**part),
                _ => text.contains(&**part),
            }))
        }
        _ => Err(CelError::NoOverload(name_of(function))),
    }
}

fn name_of(function: Function) -> &'static str {
    let is_it = |named: &Named| matches!(named, Named::Function(known) if *known == function);
    let mut known = KNOWN.iter();
    let found = known.find(|(_, named, ..)| is_it(named));
    found.map_or("", |(name, ..)| name)
}

fn size<'v>(value: &Value<'v>, budget: &mut Budget) -> Result<Value<'v>, CelError> {
    let count = match value {
        Value::Text(text) => {
            budget.read(text.len())?;
            text.chars().count()
        }
        Value::List(list) => list.size(budget)?,
        Value::Map(map) => map.members(budget)?.len(),
        _ => return Err(CelError::NoOverload("size")),
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// The float without what is behind its point, if it is an integer of 64 bits.
fn whole(value: f64) -> Option<i128> {
    let fits = value.is_finite() && value.abs() < 1e19;
    fits.then_some(value.trunc() as i128)
}

fn int<'v>(value: &Value<'v>) -> Result<Value<'v>, CelError> {
    let number = match value {
        Value::Int(value) => Some(*value),
        Value::Uint(value) => i64::try_from(*value).ok(),
        Value::Double(value) => whole(*value).and_then(|whole| i64::try_from(whole).ok()),
        Value::Text(text) => text.parse().ok(),
        _ => return Err(CelError::NoOverload("int")),
    };
    number
        .map(Value::Int)
        .ok_or(CelError::NotConvertible("int"))
}

fn uint<'v>(value: &Value<'v>) -> Result<Value<'v>, CelError> {
    let number = match value {
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Uint(value) => Some(*value),
        Value::Double(value) => whole(*value).and_then(|whole| u64::try_from(whole).ok()),
        Value::Text(text) => text.parse().ok(),
        _ => return Err(CelError::NoOverload("uint")),
    };
    number
        .map(Value::Uint)
        .ok_or(CelError::NotConvertible("uint"))
}

fn double<'v>(value: &Value<'v>) -> Result<Value<'v>, CelError> {
    let number = match value {
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        Value::Text(text) => text.parse().ok(),
        _ => return Err(CelError::NoOverload("double")),
    };
    number
        .map(Value::Double)
        .ok_or(CelError::NotConvertible("double"))
}

fn text<'v>(value: &Value<'v>, budget: &mut Budget) -> Result<Value<'v>, CelError> {
    let made = match value {
        Value::Text(_) => return Ok(value.clone()),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return Err(CelError::NoOverload("string")),
    };
    budget.make(made.len())?;
    Ok(Value::Text(Text::Made(made.into())))
}
