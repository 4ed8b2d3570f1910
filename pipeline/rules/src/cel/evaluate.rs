//! Evaluates a checked expression over the facts of an action, within a budget.

use std::sync::Arc;

use super::budget::Budget;
use super::functions;
use super::items::Items;
use super::operators;
use super::tree::{Loop, Macro, Tree};
use super::value::{CelError, ITEM_BYTES, List, Map, Member, Text, Value};
use crate::facts::{Facts, Lasting};
use crate::fault::Fault;
use crate::path::Path;
use crate::reads::Known;

/// An expression that is evaluated as it stands.
#[derive(Debug)]
pub(crate) struct Program {
    tree: Tree,
    text: Arc<str>,
}

impl Program {
    pub(super) fn new(tree: Tree, text: Arc<str>) -> Self {
        Self { tree, text }
    }

    /// As it is written, the condition it is part of included.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether looking at it may note an action: state functions do not.
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> Result<bool, Fault> {
        match self.value(facts)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(CelError::NotBool.into()),
        }
    }

    /// Appends its value as [`write_exactly`](crate::key::write_exactly) does; false when it is null.
    pub(crate) fn write_exactly(
        &self,
        facts: &mut Facts<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let value = self.value(facts)?;
        value.write_exactly(out, &mut facts.budget)?;
        Ok(!matches!(value, Value::Null))
    }

    fn value<'v, 'a: 'v>(&'v self, facts: &mut Facts<'a>) -> Result<Value<'v>, Fault> {
        let mut run = Run {
            budget: facts.budget,
            facts,
            variables: Vec::new(),
        };
        let value = run.value(&self.tree);
        run.facts.budget = run.budget;
        Ok(value?)
    }
}

struct Run<'r, 'a, 'v> {
    facts: &'r mut Facts<'a>,
    budget: Budget,
    /// Those of the macros around, the innermost last.
    variables: Vec<Value<'v>>,
}

type Made<'v> = Result<Value<'v>, CelError>;

impl<'a: 'v, 'v> Run<'_, 'a, 'v> {
    fn value(&mut self, tree: &'v Tree) -> Made<'v> {
        self.budget.step()?;
        match tree {
            Tree::Null => Ok(Value::Null),
            Tree::Bool(value) => Ok(Value::Bool(*value)),
            Tree::Int(value) => Ok(Value::Int(*value)),
            Tree::Uint(value) => Ok(Value::Uint(*value)),
            Tree::Double(value) => Ok(Value::Double(*value)),
            Tree::Text(text) => Ok(Value::Text(Text::Borrowed(text))),
            Tree::Path(path) => {
                let lasting = self.lasting(path)?;
                self.seen(lasting.ok_or(CelError::NoField)?)
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
                let known = test.reading.of(test.number, self.facts);
                Ok(match known.map_err(|_| CelError::NotGathered)? {
                    Known::Flag(flag) => Value::Bool(flag),
                    Known::Count(count) => Value::Uint(count),
                    Known::State(None) => Value::Null,
                    Known::State(Some(state)) => Value::Text(Text::Made(state.as_str().into())),
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
                let (value, index) = (self.value(operand)?, self.value(index)?);
                self.item(&value, &index)
            }
            _ => self.made(tree),
        }
    }

    /// The value of a node that computes.
    fn made(&mut self, tree: &'v Tree) -> Made<'v> {
        match tree {
            Tree::List(items) => {
                self.budget.make(items.len() * ITEM_BYTES)?;
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                List::made(items?).map(Value::List)
            }
            Tree::Map(entries) => self.map(entries),
            Tree::Not(inner) => Ok(Value::Bool(!self.truth(inner)?)),
            Tree::Negate(inner) => match self.value(inner)? {
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
                let (left, right) = (self.value(left)?, self.value(right)?);
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
            // All others were answered before.
            _ => Ok(Value::Null),
        }
    }

    fn lasting(&mut self, path: &'v Path) -> Result<Option<Lasting<'a>>, CelError> {
        self.reading(|facts| facts.lasting(path))
    }

    /// Charges what is read of the payload.
    fn reading<T>(&mut self, look: impl FnOnce(&mut Facts<'a>) -> T) -> Result<T, CelError> {
        let before = self.facts.read_bytes();
        let seen = look(self.facts);
        self.budget.read(self.facts.read_bytes() - before)?;
        Ok(seen)
    }

    fn seen(&mut self, lasting: Lasting<'a>) -> Made<'v> {
        Ok(match lasting {
            Lasting::Null => Value::Null,
            Lasting::Json(json) => Value::of_json(json, &mut self.budget)?,
            Lasting::Text(text) => Value::Text(Text::Borrowed(text)),
            Lasting::Made(text) => Value::Text(Text::Made(text.into())),
            Lasting::Number(number) => number.into(),
            Lasting::Labels(labels) => Value::Map(Map::Labels(labels)),
        })
    }

    fn truth(&mut self, tree: &'v Tree) -> Result<bool, CelError> {
        match self.value(tree)? {
            Value::Bool(value) => Ok(value),
            _ => Err(CelError::NotBool),
        }
    }

    /// What decides as soon as one part says it, whatever error stands beside it.
    fn unless_one_is(&mut self, decisive: bool, parts: &'v [Tree]) -> Made<'v> {
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

    fn map(&mut self, entries: &'v [(Tree, Tree)]) -> Made<'v> {
        self.budget.make(entries.len() * 2 * ITEM_BYTES)?;
        let mut members: Vec<Member<'v>> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key, value) = (self.value(key)?, self.value(value)?);
            if let Value::Null | Value::Double(_) | Value::List(_) | Value::Map(_) = key {
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

    fn item(&mut self, value: &Value<'v>, index: &Value<'v>) -> Made<'v> {
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

    fn run_macro(&mut self, kind: Macro, inner: &'v Loop) -> Made<'v> {
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

    fn exactly_one(&mut self, mut items: Items<'v>, inner: &'v Loop) -> Made<'v> {
        let mut count = 0;
        while let Some(item) = items.next(&mut self.budget)? {
            count += u32::from(self.about(&item, inner.test.as_ref())?);
        }
        Ok(Value::Bool(count == 1))
    }

    fn quantified(&mut self, decisive: bool, mut items: Items<'v>, inner: &'v Loop) -> Made<'v> {
        let mut error = None;
        while let Some(item) = items.next(&mut self.budget)? {
            match self.about(&item, inner.test.as_ref()) {
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

    fn listed(&mut self, mut items: Items<'v>, inner: &'v Loop) -> Made<'v> {
        let mut made = Vec::new();
        while let Some(item) = items.next(&mut self.budget)? {
            if !self.about(&item, inner.test.as_ref())? {
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

    /// What the test says of an item; true when there is none.
    fn about(&mut self, item: &Value<'v>, test: Option<&'v Tree>) -> Result<bool, CelError> {
        self.budget.step()?;
        match test {
            Some(test) => self.with(item, |run| run.truth(test)),
            None => Ok(true),
        }
    }

    fn with<T>(&mut self, item: &Value<'v>, look: impl FnOnce(&mut Self) -> T) -> T {
        self.variables.push(item.clone());
        let seen = look(self);
        self.variables.pop();
        seen
    }
}
