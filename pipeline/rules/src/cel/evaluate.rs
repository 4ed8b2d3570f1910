//! Evaluates a checked expression over the facts of an action within a budget.

use std::sync::Arc;

use super::functions;
use super::operators;
use super::tree::{Loop, Macro, Tree};
use super::value::{ITEM_BYTES, Items, List, Map, MapMember, Text, Value};
use crate::budget::Budget;
use crate::facts::{ActionValue, Facts};
use crate::fault::{CelError, Fault};
use crate::reads::StateValue;

/// An expression that has no native form.
#[derive(Debug)]
pub(crate) struct Program {
    tree: Tree,
    text: Arc<str>,
}

impl Program {
    pub(super) fn new(tree: Tree, text: Arc<str>) -> Self {
        Self { tree, text }
    }

    /// The whole expression as written in the rule, even if this is only a part of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value of a condition.
    ///
    /// # Errors
    /// If evaluation fails or the value is not a boolean.
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> Result<bool, Fault> {
        match self.value(facts)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(CelError::NotBool.into()),
        }
    }

    /// Appends its value in canonical form, as [`FactValue::write_canonical`](crate::value::FactValue::write_canonical)
    /// does. False if it is null.
    pub(crate) fn write_canonical(
        &self,
        facts: &mut Facts<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let value = self.value(facts)?;
        value.write_canonical(out, &mut facts.budget)?;
        Ok(!matches!(value, Value::Null))
    }

    fn value<'v, 'a: 'v>(&'v self, facts: &mut Facts<'a>) -> Result<Value<'v>, Fault> {
        let mut run = Evaluator {
            budget: facts.budget,
            facts,
            variables: Vec::new(),
        };
        let value = run.value(&self.tree);
        run.facts.budget = run.budget;
        Ok(value?)
    }
}

struct Evaluator<'r, 'a, 'v> {
    facts: &'r mut Facts<'a>,
    budget: Budget,
    /// The variables of the enclosing macros, innermost last.
    variables: Vec<Value<'v>>,
}

type CelResult<'v> = Result<Value<'v>, CelError>;

impl<'a: 'v, 'v> Evaluator<'_, 'a, 'v> {
    fn value(&mut self, tree: &'v Tree) -> CelResult<'v> {
        self.budget.step()?;
        match tree {
            Tree::Null => Ok(Value::Null),
            Tree::Bool(value) => Ok(Value::Bool(*value)),
            Tree::Int(value) => Ok(Value::Int(*value)),
            Tree::Uint(value) => Ok(Value::Uint(*value)),
            Tree::Double(value) => Ok(Value::Double(*value)),
            Tree::Text(text) => Ok(Value::Text(Text::Borrowed(text))),
            Tree::Path(path) => {
                let value = self.reading(|facts| facts.action_value(path))?;
                self.of_action(value.ok_or(CelError::NoField)?)
            }
            Tree::IsSet(path) => {
                let is_set = self.reading(|facts| facts.has(path))?;
                is_set.map(Value::Bool)
            }
            Tree::Variable(out) => {
                let at = self.variables.len().checked_sub(out + 1);
                let value = at.and_then(|at| self.variables.get(at));
                Ok(value.cloned().unwrap_or(Value::Null))
            }
            Tree::State(test) => {
                let value = test.kind.take(test.number, self.facts);
                Ok(match value.map_err(|_| CelError::StateUnknown)? {
                    StateValue::Flag(flag) => Value::Bool(flag),
                    StateValue::Count(count) => Value::Uint(count),
                    StateValue::State(None) => Value::Null,
                    StateValue::State(Some(state)) => {
                        Value::Text(Text::Made(state.as_str().into()))
                    }
                })
            }
            Tree::Select(operand, field) => {
                let value = self.value(operand)?;
                self.member(&value, field)?.ok_or(CelError::NoField)
            }
            Tree::Has(operand, field) => {
                let value = self.value(operand)?;
                Ok(Value::Bool(self.member(&value, field)?.is_some()))
            }
            Tree::Index(operand, index) => {
                let value = self.value(operand)?;
                let index = self.value(index)?;
                self.item(&value, &index)
            }
            _ => self.made(tree),
        }
    }

    /// The value of a node that computes.
    fn made(&mut self, tree: &'v Tree) -> CelResult<'v> {
        match tree {
            Tree::List(items) => {
                self.budget.make(items.len() * ITEM_BYTES)?;
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                List::made(items?).map(Value::List)
            }
            Tree::Map(entries) => self.map(entries),
            Tree::Not(inner) => Ok(Value::Bool(!self.truth(inner)?)),
            Tree::Negate(inner) => match *self.value(inner)?.operand()? {
                Value::Int(value) => value
                    .checked_neg()
                    .map(Value::Int)
                    .ok_or(CelError::Overflow),
                Value::Double(value) => Ok(Value::Double(-value)),
                _ => Err(CelError::NoOverload("-")),
            },
            Tree::And(parts) => self.unless_one_is(false, parts),
            Tree::Or(parts) => self.unless_one_is(true, parts),
            Tree::Conditional(parts) => {
                let [test, yes, no] = &**parts;
                let chosen = if self.truth(test)? { yes } else { no };
                self.value(chosen)
            }
            Tree::Binary(operation, operands) => {
                let [left, right] = &**operands;
                let left = self.value(left)?;
                let right = self.value(right)?;
                operators::apply(*operation, &left, &right, &mut self.budget)
            }
            Tree::Call(function, operands) => {
                let operands: Result<Vec<_>, _> =
                    operands.iter().map(|operand| self.value(operand)).collect();
                functions::call(*function, &operands?, &mut self.budget)
            }
            Tree::Matches(operand, pattern) => match self.value(operand)? {
                Value::Text(text) => {
                    self.budget.read(text.len())?;
                    Ok(Value::Bool(pattern.test.holds(text.as_bytes())))
                }
                _ => Err(CelError::NoOverload("matches")),
            },
            Tree::Macro(kind, inner) => self.run_macro(*kind, inner),
            // `value` handles all others.
            _ => Ok(Value::Null),
        }
    }

    /// Charges the bytes of the payload that `look` scans.
    fn reading<T>(&mut self, look: impl FnOnce(&mut Facts<'a>) -> T) -> Result<T, CelError> {
        let before = self.facts.read_bytes();
        let value = look(self.facts);
        self.budget.read(self.facts.read_bytes() - before)?;
        Ok(value)
    }

    fn of_action(&mut self, value: ActionValue<'a>) -> CelResult<'v> {
        Ok(match value {
            ActionValue::Null => Value::Null,
            ActionValue::Json(json) => Value::of_json(json, &mut self.budget)?,
            ActionValue::Text(text) => Value::Text(Text::Borrowed(text)),
            ActionValue::Made(text) => Value::Text(Text::Made(text.into())),
            ActionValue::Number(number) => number.into(),
            ActionValue::Labels(labels) => Value::Map(Map::Labels(labels)),
        })
    }

    fn truth(&mut self, tree: &'v Tree) -> Result<bool, CelError> {
        match self.value(tree)? {
            Value::Bool(value) => Ok(value),
            _ => Err(CelError::NotBool),
        }
    }

    /// `decisive` if any part has this value, even if another part fails.
    fn unless_one_is(&mut self, decisive: bool, parts: &'v [Tree]) -> CelResult<'v> {
        let mut error = None;
        for part in parts {
            match self.truth(part) {
                Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(last) if last.is_final() => return Err(last),
                Err(other) => {
                    error.get_or_insert(other);
                }
            }
        }
        error.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn map(&mut self, entries: &'v [(Tree, Tree)]) -> CelResult<'v> {
        self.budget.make(entries.len() * 2 * ITEM_BYTES)?;
        let mut members: Vec<MapMember<'v>> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.value(key)?;
            let value = self.value(value)?;
            if let Value::Null
            | Value::Double(_)
            | Value::Long(_)
            | Value::List(_)
            | Value::Map(_) = key
            {
                return Err(CelError::NotAKey);
            }
            for (other, _) in &members {
                if other.equals(&key, &mut self.budget)? {
                    return Err(CelError::RepeatedKey);
                }
            }
            members.push((key, value));
        }
        Map::made(members).map(Value::Map)
    }

    fn member(&mut self, value: &Value<'v>, field: &'v str) -> Result<Option<Value<'v>>, CelError> {
        match value {
            Value::Map(map) => map.get(&Value::Text(Text::Borrowed(field)), &mut self.budget),
            _ => Err(CelError::NoOverload(".")),
        }
    }

    fn item(&mut self, value: &Value<'v>, index: &Value<'v>) -> CelResult<'v> {
        match (value, index) {
            (Value::Map(map), key) => {
                let found = map.get(key, &mut self.budget)?;
                found.ok_or(CelError::NoField)
            }
            (Value::List(list), Value::Int(index)) => {
                let index = usize::try_from(*index).map_err(|_| CelError::NoItem)?;
                list.get(index, &mut self.budget)
            }
            (Value::List(list), Value::Uint(index)) => {
                let index = usize::try_from(*index).map_err(|_| CelError::NoItem)?;
                list.get(index, &mut self.budget)
            }
            _ => Err(CelError::NoOverload("[]")),
        }
    }

    fn run_macro(&mut self, kind: Macro, inner: &'v Loop) -> CelResult<'v> {
        let items = match self.value(&inner.range)? {
            Value::List(list) => list.items(),
            Value::Map(map) => map.keys(&mut self.budget)?.items(),
            _ => return Err(CelError::NoOverload("a macro")),
        };
        match kind {
            Macro::All => self.quantified(false, items, inner),
            Macro::Exists => self.quantified(true, items, inner),
            Macro::ExistsOne => self.exactly_one(items, inner),
            Macro::Map | Macro::Filter => self.listed(items, inner),
        }
    }

    fn exactly_one(&mut self, mut items: Items<'v>, inner: &'v Loop) -> CelResult<'v> {
        let mut count = 0;
        while let Some(item) = items.next(&mut self.budget)? {
            count += u32::from(self.passes(&item, inner.test.as_ref())?);
        }
        Ok(Value::Bool(count == 1))
    }

    fn quantified(
        &mut self,
        decisive: bool,
        mut items: Items<'v>,
        inner: &'v Loop,
    ) -> CelResult<'v> {
        let mut error = None;
        while let Some(item) = items.next(&mut self.budget)? {
            match self.passes(&item, inner.test.as_ref()) {
                Ok(holds) if holds == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(last) if last.is_final() => return Err(last),
                Err(other) => {
                    error.get_or_insert(other);
                }
            }
        }
        error.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn listed(&mut self, mut items: Items<'v>, inner: &'v Loop) -> CelResult<'v> {
        let mut made = Vec::new();
        while let Some(item) = items.next(&mut self.budget)? {
            if !self.passes(&item, inner.test.as_ref())? {
                continue;
            }
            self.budget.make(ITEM_BYTES)?;
            made.push(match &inner.item {
                Some(tree) => self.with(&item, |run| run.value(tree))?,
                None => item,
            });
        }
        List::made(made).map(Value::List)
    }

    /// Whether an item passes the test; true if there is no test.
    fn passes(&mut self, item: &Value<'v>, test: Option<&'v Tree>) -> Result<bool, CelError> {
        self.budget.step()?;
        match test {
            Some(test) => self.with(item, |run| run.truth(test)),
            None => Ok(true),
        }
    }

    fn with<T>(&mut self, item: &Value<'v>, look: impl FnOnce(&mut Self) -> T) -> T {
        self.variables.push(item.clone());
        let value = look(self);
        self.variables.pop();
        value
    }
}
