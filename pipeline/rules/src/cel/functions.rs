//! The functions of CEL that rules may call.

use super::tree::Function;
use super::value::{Text, Value};
use crate::budget::Budget;
use crate::condition::{EventFunction, FUNCTIONS};
use crate::fault::CelError;
use crate::number::Number;
use crate::problems::unknown;

/// What a name refers to.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    Function(Function),
    Matches,
    State(EventFunction),
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallStyle {
    /// `text.contains(part)`
    OnValue,
    /// `int(text)`
    Alone,
    Either,
}

/// A function and how it is called.
struct Signature {
    name: &'static str,
    callee: Callee,
    style: CallStyle,
    /// The receiver included.
    operands: usize,
    example: &'static str,
}

const SIGNATURES: [Signature; 9] = [
    on_value("contains", Function::Contains, "text.contains(part)"),
    on_value("startsWith", Function::StartsWith, "text.startsWith(start)"),
    on_value("endsWith", Function::EndsWith, "text.endsWith(end)"),
    conversion("int", Function::Int, "int(value)"),
    conversion("uint", Function::Uint, "uint(value)"),
    conversion("double", Function::Double, "double(value)"),
    conversion("string", Function::Text, "string(value)"),
    Signature {
        name: "size",
        callee: Callee::Function(Function::Size),
        style: CallStyle::Either,
        operands: 1,
        example: "size(list)",
    },
    Signature {
        name: "matches",
        callee: Callee::Matches,
        style: CallStyle::Either,
        operands: 2,
        example: "text.matches(\"^a\")",
    },
];

const fn on_value(name: &'static str, function: Function, example: &'static str) -> Signature {
    Signature {
        name,
        callee: Callee::Function(function),
        style: CallStyle::OnValue,
        operands: 2,
        example,
    }
}

const fn conversion(name: &'static str, function: Function, example: &'static str) -> Signature {
    Signature {
        name,
        callee: Callee::Function(function),
        style: CallStyle::Alone,
        operands: 1,
        example,
    }
}

/// The parser expands macros. A call of one that is left has the wrong operands.
const MACROS: [(&str, &str); 6] = [
    ("has", "has(action.payload.field)"),
    ("all", "list.all(item, condition)"),
    ("exists", "list.exists(item, condition)"),
    ("exists_one", "list.exists_one(item, condition)"),
    ("map", "list.map(item, value)"),
    ("filter", "list.filter(item, condition)"),
];

/// The function of this name.
///
/// # Errors
/// If there is none, or it is called in another way.
pub(super) fn named(name: &str, on_value: bool, operands: usize) -> Result<Callee, String> {
    if let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name)
        && !on_value
    {
        return Ok(Callee::State(*function));
    }
    if let Some((_, example)) = MACROS.iter().find(|(known, _)| *known == name) {
        return Err(format!("`{name}` is written as in `{example}`"));
    }
    let Some(signature) = SIGNATURES.iter().find(|known| known.name == name) else {
        let names = SIGNATURES.iter().map(|known| known.name);
        let others = MACROS.iter().map(|(known, _)| *known);
        let states = FUNCTIONS.iter().map(|(known, _)| *known);
        let known: Vec<_> = names.chain(others).chain(states).collect();
        return Err(unknown("function", name, &known));
    };
    let fits = match signature.style {
        CallStyle::Either => true,
        CallStyle::OnValue => on_value,
        CallStyle::Alone => !on_value,
    };
    if fits && operands == signature.operands {
        Ok(signature.callee)
    } else {
        let example = signature.example;
        Err(format!("`{name}` is written as in `{example}`"))
    }
}

/// Calls a function.
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
    let is_it =
        |known: &&Signature| matches!(known.callee, Callee::Function(other) if other == function);
    SIGNATURES.iter().find(is_it).map_or("", |known| known.name)
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

/// The whole part of a float, if it may fit into 64 bits.
fn whole(value: f64) -> Option<i128> {
    let fits = value.is_finite() && value.abs() < 1e19;
    fits.then_some(value.trunc() as i128)
}

fn int<'v>(value: &Value<'v>) -> Result<Value<'v>, CelError> {
    let number = match value {
        Value::Int(value) => Some(*value),
        Value::Uint(value) => i64::try_from(*value).ok(),
        Value::Double(value) => whole(*value).and_then(|whole| i64::try_from(whole).ok()),
        Value::Long(text) => Number::Long(text).to_plain().parse().ok(),
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
        Value::Long(text) => Number::Long(text).to_plain().parse().ok(),
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
        Value::Long(text) => Some(Number::Long(text).to_float()),
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
        Value::Long(text) => Number::Long(text).to_plain(),
        Value::Bool(value) => value.to_string(),
        _ => return Err(CelError::NoOverload("string")),
    };
    budget.make(made.len())?;
    Ok(Value::Text(Text::Made(made.into())))
}
